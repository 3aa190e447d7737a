// Command todo keeps lists of things to do. No two lists have the same title.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/command"
	"github.com/yore-es/yore/eventstore/memstore"
	"github.com/yore-es/yore/fold"
)

type (
	Event         interface{ isEvent() }
	ListNamed     struct{ Old, Title string } // the first one creates the list
	ItemAdded     struct{ Item string }
	ItemCompleted struct{ Item string }

	Command      interface{ ListID() string }
	NameList     struct{ List, Title string }
	AddItem      struct{ List, Item string }
	CompleteItem struct{ List, Item string }
)

type List struct {
	Title string
	Done  map[string]bool // by item
}

func (ListNamed) isEvent()     {}
func (ItemAdded) isEvent()     {}
func (ItemCompleted) isEvent() {}

func (c NameList) ListID() string     { return c.List }
func (c AddItem) ListID() string      { return c.List }
func (c CompleteItem) ListID() string { return c.List }

var (
	ErrNoItem     = errors.New("there is no such item")
	ErrTitleTaken = errors.New("there is a list of this title")
)

var lists = aggregate.Decider[List, Command, Event]{
	Category: "list",
	Initial:  func() List { return List{Done: map[string]bool{}} },
	Decide: func(list List, cmd Command) ([]Event, error) {
		switch c := cmd.(type) {
		case NameList:
			return []Event{ListNamed{Old: list.Title, Title: c.Title}}, nil
		case AddItem:
			return []Event{ItemAdded{Item: c.Item}}, nil
		case CompleteItem:
			if _, ok := list.Done[c.Item]; !ok {
				return nil, ErrNoItem
			}
			return []Event{ItemCompleted{Item: c.Item}}, nil
		}
		return nil, fmt.Errorf("no rules for %T", cmd)
	},
	Evolve: func(list List, event Event) List {
		switch e := event.(type) {
		case ListNamed:
			list.Title = e.Title
		case ItemAdded:
			list.Done[e.Item] = false
		case ItemCompleted:
			list.Done[e.Item] = true
		}
		return list
	},
}

// titleTaken says whether any list has the title.
func titleTaken(title string) aggregate.Model[bool] {
	return aggregate.NewModel(aggregate.Tagged("title:"+title),
		fold.On(func(_ bool, e ListNamed) bool { return e.Title == title }))
}

// nameList is what the list decides, provided that no list has the title.
func nameList(c NameList) aggregate.Decision {
	var taken bool
	return lists.Decision(c.List, c).Provided(func() error {
		if taken {
			return ErrTitleTaken
		}
		return nil
	}, titleTaken(c.Title).Into(&taken))
}

func main() {
	b := codec.NewBuilder()
	codec.Register[ListNamed](b, "list.named", 1,
		codec.Tags(func(e ListNamed) []string { return []string{"title:" + e.Old, "title:" + e.Title} }))
	codec.Register[ItemAdded](b, "list.item-added", 1)
	codec.Register[ItemCompleted](b, "list.item-completed", 1)
	registry, store := must(b.Build()), memstore.New(nil)
	repository := must(aggregate.NewRepository(store, registry, lists, nil))
	decisions, d := must(aggregate.NewDecisions(store, registry, nil)), command.NewDispatcher()
	must(0, command.Route(d, repository, Command.ListID))
	must(0, command.Handle(d, aggregate.CommandHandler(decisions, nameList)))
	for _, cmd := range []Command{
		NameList{"1", "Today"}, AddItem{"1", "tea"}, CompleteItem{"1", "tea"}, CompleteItem{"1", "rest"},
		NameList{"2", "Today"}, NameList{"1", "Yesterday"}, NameList{"2", "Today"}, AddItem{"2", "rest"},
	} {
		_, receipt, err := command.Dispatch[any](context.Background(), d, cmd)
		fmt.Printf("%T%v: position %d, error %v\n", cmd, cmd, receipt.Last, err)
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}
