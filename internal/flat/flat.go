// Package flat flattens nested lists: a decision returns events as a list of values and
// lists of them.
package flat

// Values returns the values in order, with each []any among them replaced by its values, at
// any depth. It returns the list itself if it has no []any.
func Values(list []any) []any {
	for i, value := range list {
		if _, nested := value.([]any); nested {
			return appendValues(append([]any{}, list[:i]...), list[i:])
		}
	}
	return list
}

func appendValues(to, list []any) []any {
	for _, value := range list {
		if nested, ok := value.([]any); ok {
			to = appendValues(to, nested)
		} else {
			to = append(to, value)
		}
	}
	return to
}
