// Package payload encodes an application's values as JSON, for events, rows and states that
// are stored, and holds them to one rule: what cannot be read back as it was written is
// refused before it is written (I17).
//
// A type is checked once, before a value of it is stored: [Faults] lists the parts that
// encoding/json would leave out, or could not decode. What only a value shows, such as text
// that is not UTF-8, is seen when the value is stored: [Codec.Reread] decodes what it has
// encoded, and [Codec.Change] finds a part that would be read as another one.
//
// Numbers in an any are decoded as [encoding/json.Number], with all their digits.
package payload
