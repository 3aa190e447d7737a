package main

import (
	"testing"
	"time"

	"github.com/yore-es/yore/aggregate/aggtest"
)

// daysLater returns the time a number of days after day.
func daysLater(n int) time.Time { return day.Add(time.Duration(n) * 24 * time.Hour) }

func TestRegisterAccount(t *testing.T) {
	check(t, []scenario{
		{
			name:    "under a claimed name",
			given:   given(AccountRegistered{"u1"}),
			when:    registerAccount("u1", day),
			refused: ErrUsernameClaimed,
		},
		{
			name: "under an unused name",
			when: registerAccount("u1", day),
			then: []any{AccountRegistered{"u1"}},
		},
		{
			name:  "under the name of a closed account, in time",
			given: given(AccountRegistered{"u1"}, AccountClosed{"u1"}),
			when:  registerAccount("u1", daysLater(4)),
			then:  []any{AccountRegistered{"u1"}},
		},
		{
			name:  "under a name that was changed, in time",
			given: given(AccountRegistered{"u1"}, UsernameChanged{"u1", "u1changed"}),
			when:  registerAccount("u1", daysLater(4)),
			then:  []any{AccountRegistered{"u1"}},
		},
		{
			name:    "under a name that another was changed to",
			given:   given(AccountRegistered{"u1"}, UsernameChanged{"u1", "u1changed"}),
			when:    registerAccount("u1changed", daysLater(4)),
			refused: ErrUsernameClaimed,
		},
		{
			name: "under a name that was claimed again",
			given: given(AccountRegistered{"u1"}, AccountClosed{"u1"},
				AccountRegistered{"u2"}, UsernameChanged{"u2", "u1"}),
			when:    registerAccount("u1", daysLater(30)),
			refused: ErrUsernameClaimed,
		},
	})
}

func TestRegisterAccount_WhileTheNameIsRetained(t *testing.T) {
	check(t, []scenario{
		{
			name: "under the name of a closed account, while it is retained",
			given: func(log *aggtest.Log) *aggtest.Log {
				return log.Given(AccountRegistered{"u1"}).At(daysLater(1)).Given(AccountClosed{"u1"})
			},
			when:    registerAccount("u1", daysLater(4)),
			refused: ErrUsernameClaimed,
		},
		{
			name: "under a name that was changed, while it is retained",
			given: func(log *aggtest.Log) *aggtest.Log {
				return log.Given(AccountRegistered{"u1"}).At(daysLater(1)).Given(UsernameChanged{"u1", "u1changed"})
			},
			when:    registerAccount("u1", daysLater(4)),
			refused: ErrUsernameClaimed,
		},
	})
}

func TestChangeUsername(t *testing.T) {
	check(t, []scenario{
		{
			name:  "to an unused name",
			given: given(AccountRegistered{"u1"}),
			when:  changeUsername("u1", "u2", day),
			then:  []any{UsernameChanged{"u1", "u2"}},
		},
		{
			name:    "to a claimed name",
			given:   given(AccountRegistered{"u1"}, AccountRegistered{"u2"}),
			when:    changeUsername("u1", "u2", day),
			refused: ErrUsernameClaimed,
		},
		{
			name:    "of no account",
			when:    changeUsername("u1", "u2", day),
			refused: ErrNoAccount,
		},
	})
}

func TestCloseAccount(t *testing.T) {
	check(t, []scenario{
		{
			name:  "of an account",
			given: given(AccountRegistered{"u1"}),
			when:  closeAccount("u1"),
			then:  []any{AccountClosed{"u1"}},
		},
		{
			name:    "of an account that has another name now",
			given:   given(AccountRegistered{"u1"}, UsernameChanged{"u1", "u2"}),
			when:    closeAccount("u1"),
			refused: ErrNoAccount,
		},
	})
}
