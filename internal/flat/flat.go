// Package flat makes one list of lists within lists.
package flat

// Values returns the values in their order, each []any among them replaced by its own
// values, at any depth. It returns the list itself if there is none.
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
