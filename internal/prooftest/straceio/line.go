package straceio

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// systemCall is a call that returned, as a line of strace's log says it.
type systemCall struct {
	name   string
	args   []string
	result int64 // -1 after an error
	split  bool  // others came in between its beginning and its return
}

// lines puts together the lines of a log: a call that others came in between of
// has two.
type lines struct {
	begun map[string]string // by thread: the first line of a call that has not returned
}

// next takes a line. It returns the call that it begins, if it has not returned
// yet, or the one that it ends.
func (l *lines) next(line string) (begun, ended *systemCall, err error) {
	thread, text, ok := strings.Cut(line, " ")
	text = strings.TrimLeft(text, " ")
	if !ok || text == "" || strings.HasPrefix(text, "+++") || strings.HasPrefix(text, "---") {
		return nil, nil, nil // an exit, a signal
	}
	if start, unfinished := strings.CutSuffix(text, " <unfinished ...>"); unfinished {
		l.begun[thread] = start
		begun, err = parseCall(start)
		return begun, nil, err
	}
	split := strings.HasPrefix(text, "<... ")
	if split {
		_, rest, ok := strings.Cut(text, " resumed>")
		if !ok {
			return nil, nil, fmt.Errorf("no end of %q", text)
		}
		text = l.begun[thread] + rest
		delete(l.begun, thread)
	}
	call, result, ok := cutLast(text, " = ")
	if !ok {
		return nil, nil, fmt.Errorf("no result in %.200q", text)
	}
	if strings.HasPrefix(result, "?") {
		return nil, nil, nil // the process ended in it
	}
	if ended, err = parseCall(strings.TrimRight(call, " ")); err != nil {
		return nil, nil, err
	}
	ended.split = split
	number, _, _ := strings.Cut(result, " ")
	ended.result, err = strconv.ParseInt(number, 0, 64)
	return nil, ended, err
}

// cutLast cuts around the last separator. With -xx no string has one in it.
func cutLast(text, separator string) (before, after string, found bool) {
	i := strings.LastIndex(text, separator)
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+len(separator):], true
}

// parseCall takes apart a call, which may lack its end.
func parseCall(text string) (*systemCall, error) {
	name, list, ok := strings.Cut(text, "(")
	if !ok {
		return nil, fmt.Errorf("no call: %.200q", text)
	}
	list = strings.TrimSuffix(list, ")")
	return &systemCall{name: name, args: strings.Split(list, ", ")}, nil
}

func (c *systemCall) arg(i int) string {
	if i >= len(c.args) {
		return ""
	}
	return c.args[i]
}

// number returns the i-th argument as a number.
func (c *systemCall) number(i int) (int64, error) {
	n, err := strconv.ParseInt(c.arg(i), 0, 64)
	if err != nil {
		return 0, fmt.Errorf("argument %d of %s: %w", i, c.name, err)
	}
	return n, nil
}

// bytes returns the i-th argument, a string in which every byte is written as
// \x and two digits.
func (c *systemCall) bytes(i int) ([]byte, error) {
	arg := c.arg(i)
	if len(arg) < 2 || arg[0] != '"' || arg[len(arg)-1] != '"' {
		return nil, fmt.Errorf("argument %d of %s is not a whole string: %.100q", i, c.name, arg)
	}
	digits := strings.ReplaceAll(arg[1:len(arg)-1], `\x`, "")
	data, err := hex.DecodeString(digits)
	if err != nil {
		return nil, fmt.Errorf("argument %d of %s: %w", i, c.name, err)
	}
	return data, nil
}
