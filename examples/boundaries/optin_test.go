package main

import "testing"

func TestConfirmSignUp(t *testing.T) {
	const ann, bob = "ann@example.com", "bob@example.com"
	check(t, []scenario{
		{
			name:    "by a token that was never sent",
			when:    confirmSignUp(ann, "000000", day),
			refused: ErrNoSignUp,
		},
		{
			name:    "by a token that was sent to another address",
			given:   given(SignUpInitiated{ann, "111111", "Ann"}),
			when:    confirmSignUp(bob, "111111", day),
			refused: ErrNoSignUp,
		},
		{
			name:    "by a token that was used",
			given:   given(SignUpInitiated{ann, "222222", "Ann"}, SignUpConfirmed{ann, "222222", "Ann"}),
			when:    confirmSignUp(ann, "222222", day),
			refused: ErrTokenUsed,
		},
		{
			name:  "by a good token",
			given: given(SignUpInitiated{ann, "444444", "Ann"}),
			when:  confirmSignUp(ann, "444444", day),
			then:  []any{SignUpConfirmed{ann, "444444", "Ann"}},
		},
		{
			name:  "by a good token, at the last moment",
			given: given(SignUpInitiated{ann, "444444", "Ann"}),
			when:  confirmSignUp(ann, "444444", minutes(60)),
			then:  []any{SignUpConfirmed{ann, "444444", "Ann"}},
		},
		{
			name:    "by a token that has expired",
			given:   given(SignUpInitiated{ann, "333333", "Ann"}),
			when:    confirmSignUp(ann, "333333", minutes(61)),
			refused: ErrTokenExpired,
		},
	})
}

func TestInitiateSignUp(t *testing.T) {
	check(t, []scenario{
		{
			name: "by a new token",
			when: initiateSignUp("ann@example.com", "1", "Ann"),
			then: []any{SignUpInitiated{"ann@example.com", "1", "Ann"}},
		},
		{
			name:    "by a token that was sent before",
			given:   given(SignUpInitiated{"ann@example.com", "1", "Ann"}),
			when:    initiateSignUp("ann@example.com", "1", "Ann"),
			refused: ErrTokenTaken,
		},
	})
}
