package main

import (
	"time"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/fold"
)

type AccountRegistered struct {
	Username string `json:"username"`
}

type AccountClosed struct {
	Username string `json:"username"`
}

// UsernameChanged is an event about two names, with the tags of both.
type UsernameChanged struct {
	Old string `json:"old"`
	New string `json:"new"`
}

func registerUsernames(b *codec.Builder) {
	codec.Register[AccountRegistered](b, "account.registered", 1,
		codec.Tags(func(e AccountRegistered) []string { return []string{"username:" + e.Username} }))
	codec.Register[AccountClosed](b, "account.closed", 1,
		codec.Tags(func(e AccountClosed) []string { return []string{"username:" + e.Username} }))
	codec.Register[UsernameChanged](b, "account.username-changed", 1, codec.Tags(func(e UsernameChanged) []string {
		return []string{"username:" + e.Old, "username:" + e.New}
	}))
}

// retention is the time for which a name that was given up stays reserved.
const retention = 3 * 24 * time.Hour

// claim is the state of a name: used by an account, or given up at a time.
type claim struct {
	Active  bool
	GivenUp time.Time // zero for a name that was never used
}

// holds reports whether the name cannot be registered at this time.
func (c claim) holds(now time.Time) bool {
	return c.Active || !c.GivenUp.IsZero() && now.Sub(c.GivenUp) <= retention
}

func claimOn(username string) aggregate.Model[claim] {
	return aggregate.NewModel(aggregate.Tagged("username:"+username),
		fold.On(func(claim, AccountRegistered) claim { return claim{Active: true} }),
		fold.OnEvent(func(_ claim, e fold.Event[AccountClosed]) claim { return claim{GivenUp: e.Time} }),
		fold.OnEvent(func(_ claim, e fold.Event[UsernameChanged]) claim {
			if e.Data.New == username {
				return claim{Active: true}
			}
			return claim{GivenUp: e.Time}
		}))
}

const (
	ErrUsernameClaimed = rule("the username is claimed")
	ErrNoAccount       = rule("there is no account of that name")
)

func registerAccount(username string, now time.Time) aggregate.Decision {
	var name claim
	return aggregate.Decision{
		Models: aggregate.Models{claimOn(username).Into(&name)},
		Decide: func() ([]any, error) {
			if name.holds(now) {
				return nil, ErrUsernameClaimed
			}
			return []any{AccountRegistered{Username: username}}, nil
		},
	}
}

func closeAccount(username string) aggregate.Decision {
	var name claim
	return aggregate.Decision{
		Models: aggregate.Models{claimOn(username).Into(&name)},
		Decide: func() ([]any, error) {
			if !name.Active {
				return nil, ErrNoAccount
			}
			return []any{AccountClosed{Username: username}}, nil
		},
	}
}

func changeUsername(from, to string, now time.Time) aggregate.Decision {
	var name, wanted claim
	return aggregate.Decision{
		Models: aggregate.Models{
			claimOn(from).Into(&name),
			claimOn(to).Into(&wanted),
		},
		Decide: func() ([]any, error) {
			switch {
			case !name.Active:
				return nil, ErrNoAccount
			case wanted.holds(now):
				return nil, ErrUsernameClaimed
			}
			return []any{UsernameChanged{Old: from, New: to}}, nil
		},
	}
}
