package sample

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/fold"
)

// The log has accounts: three deposits of 100, then a withdrawal of 299. A decision
// that does not see the withdrawal pays out 300. The withdrawal is a target.

// changed is the event of an account.
type changed struct {
	Account string `json:"account"`
	Amount  int    `json:"amount"`
	Note    string `json:"note,omitempty"`
}

const (
	changedType     = "account.changed"
	accountCategory = "account"
	balance         = 1
)

// The accounts, by the commit that begins them: early in the log, so that it is
// indexed if any is; in a pack, within a large commit; and at the end.
const (
	early  = "early"
	packed = "packed"
	late   = "late"
)

var accounts = []string{early, packed, late}

// accountEvents returns the events of accounts in the i-th commit.
func (b *builder) accountEvents(i int) []eventstore.NewEvent {
	var events []eventstore.NewEvent
	change := func(account string, n int) {
		amount := 100
		if n == 3 {
			amount = -299
			b.Targets = append(b.Targets, Target{account, eventstore.Position(len(b.Events) + 1 + len(events))})
		}
		events = append(events, b.accountEvent(account, n, amount))
	}
	switch at := i - 20; {
	case at >= 0 && at < 4:
		change(early, at)
	case i >= commits-5 && i < commits-1:
		change(late, i-commits+5)
	case i == commits/3:
		for n := range 4 {
			change(packed, n)
		}
	}
	return events
}

// accountEvent makes an event whose fields have bytes that are not elsewhere in its
// record.
func (b *builder) accountEvent(account string, n, amount int) eventstore.NewEvent {
	payload := changed{Account: account, Amount: amount, Note: fmt.Sprintf("change %d", n)}
	data, err := json.Marshal(payload)
	if err != nil {
		panic(err) // it can always be encoded
	}
	var id uuid.UUID
	for i := range id {
		id[i] = byte(b.bytes.Uint32())
	}
	return eventstore.NewEvent{
		Stream: eventstore.StreamID(accountCategory + "-" + account), ID: id, Type: changedType, SchemaVersion: 1, Codec: "json",
		Data: data, Tags: []eventstore.Tag{tagOf(account)}, Metadata: eventstore.Metadata{"teller": fmt.Sprintf("teller of %s", account)},
	}
}

func tagOf(account string) eventstore.Tag { return eventstore.Tag("holder:" + account) }

// errTooLittle is the reason to refuse a payout.
var errTooLittle = errors.New("the account has too little")

// payout is the command of an account.
type payout struct{ amount int }

func newRegistry() (*codec.Registry, error) {
	b := codec.NewBuilder()
	codec.Register[changed](b, changedType, 1, codec.Tags(func(c changed) []string { return []string{string(tagOf(c.Account))} }))
	return b.Build()
}

var decider = aggregate.Decider[int, payout, changed]{
	Category: accountCategory,
	Decide: func(sum int, p payout) ([]changed, error) {
		if sum < p.amount {
			return nil, errTooLittle
		}
		return []changed{{Amount: -p.amount}}, nil
	},
	Evolve: func(sum int, c changed) int { return sum + c.Amount },
}

// payOut makes decisions on an account: of its stream, and of all events with its tag.
type payOut struct {
	repository *aggregate.Repository[int, payout, changed]
	decisions  *aggregate.Decisions
}

func newPayOut(store eventstore.Store) (p payOut, err error) {
	registry, err := newRegistry()
	if err != nil {
		return p, err
	}
	if p.repository, err = aggregate.NewRepository(store, registry, decider, &aggregate.Options{MaxAttempts: 2}); err != nil {
		return p, err
	}
	p.decisions, err = aggregate.NewDecisions(store, registry, &aggregate.Options{MaxAttempts: 2})
	return p, err
}

// byStream pays out more than the account has.
func (p payOut) byStream(ctx context.Context, account string) error {
	_, err := p.repository.Execute(ctx, account, payout{balance + 1})
	return err
}

// byTag pays out more than the account has, without its stream.
func (p payOut) byTag(ctx context.Context, account string) error {
	sum := 0
	query := eventstore.Match(eventstore.Item{Tags: []eventstore.Tag{tagOf(account)}})
	_, err := p.decisions.Execute(ctx, aggregate.Decision{
		Models: aggregate.Models{aggregate.NewModel(query, fold.On(func(sum int, c changed) int { return sum + c.Amount })).Into(&sum)},
		Decide: func() ([]any, error) {
			if sum < balance+1 {
				return nil, errTooLittle
			}
			return []any{changed{Account: account, Amount: -balance - 1}}, nil
		},
	})
	return err
}
