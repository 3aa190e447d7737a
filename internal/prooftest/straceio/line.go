package straceio

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// systemCall is a call that has returned, as in a line of strace's log.
type systemCall struct {
	name   string
	args   []string
	result int64 // -1 after an error
	split  bool  // other calls came between its beginning and its return
}

// lines joins the lines of a log: a call with other calls in between has two lines.
type lines struct {
	begun map[string]string // by thread: the first line of a call that has not returned
}

// next takes a line. It returns the call that begins in it, if that has not returned
// yet, or the call that ends in it.
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
		return nil, nil, nil // the process ended during the call
	}
	if ended, err = parseCall(strings.TrimRight(call, " ")); err != nil {
		return nil, nil, err
	}
	ended.split = split
	number, _, _ := strings.Cut(result, " ")
	ended.result, err = strconv.ParseInt(number, 0, 64)
	return nil, ended, err
}

// cutLast cuts around the last separator. With -xx no string contains one.
func cutLast(text, separator string) (before, after string, found bool) {
	i := strings.LastIndex(text, separator)
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+len(separator):], true
}

// parseCall parses a call, which may lack its end.
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

// bytes returns the i-th argument, a string with every byte as \x and two digits.
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
