package main

import (
	"time"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/fold"
)

type SignUpInitiated struct {
	Email string `json:"email"`
	Token string `json:"token"`
	Name  string `json:"name"`
}

type SignUpConfirmed struct {
	Email string `json:"email"`
	Token string `json:"token"`
	Name  string `json:"name"`
}

func registerOptIn(b *codec.Builder) {
	codec.Register[SignUpInitiated](b, "sign-up.initiated", 1,
		codec.Tags(func(e SignUpInitiated) []string { return signUpTags(e.Email, e.Token) }))
	codec.Register[SignUpConfirmed](b, "sign-up.confirmed", 1,
		codec.Tags(func(e SignUpConfirmed) []string { return signUpTags(e.Email, e.Token) }))
}

func signUpTags(email, token string) []string { return []string{"email:" + email, "token:" + token} }

// tokenLife is the time for which a token is valid.
const tokenLife = time.Hour

// signUp is the state of a token that was sent to an address.
type signUp struct {
	Name      string
	Initiated time.Time // zero if there is no such token
	Confirmed bool
}

func signUpOf(email, token string) aggregate.Model[signUp] {
	return aggregate.NewModel(aggregate.Tagged(signUpTags(email, token)...),
		fold.OnEvent(func(_ signUp, e fold.Event[SignUpInitiated]) signUp {
			return signUp{Name: e.Data.Name, Initiated: e.Time}
		}),
		fold.On(func(s signUp, _ SignUpConfirmed) signUp {
			s.Confirmed = true
			return s
		}))
}

const (
	ErrTokenTaken   = rule("the token was sent already")
	ErrNoSignUp     = rule("no sign-up waits for this address and token")
	ErrTokenUsed    = rule("the token was used already")
	ErrTokenExpired = rule("the token has expired")
)

func initiateSignUp(email, token, name string) aggregate.Decision {
	var sent signUp
	return aggregate.Decision{
		Models: aggregate.Models{signUpOf(email, token).Into(&sent)},
		Decide: func() ([]any, error) {
			if !sent.Initiated.IsZero() {
				return nil, ErrTokenTaken
			}
			return []any{SignUpInitiated{Email: email, Token: token, Name: name}}, nil
		},
	}
}

func confirmSignUp(email, token string, now time.Time) aggregate.Decision {
	var sent signUp
	return aggregate.Decision{
		Models: aggregate.Models{signUpOf(email, token).Into(&sent)},
		Decide: func() ([]any, error) {
			switch {
			case sent.Initiated.IsZero():
				return nil, ErrNoSignUp
			case sent.Confirmed:
				return nil, ErrTokenUsed
			case now.Sub(sent.Initiated) > tokenLife:
				return nil, ErrTokenExpired
			}
			return []any{SignUpConfirmed{Email: email, Token: token, Name: sent.Name}}, nil
		},
	}
}
