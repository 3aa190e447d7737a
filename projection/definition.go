package projection

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/internal/quote"
	"github.com/yore-es/yore/internal/reserved"
	"github.com/yore-es/yore/internal/vocabulary"
)

// definition is a projection resolved against a registry.
type definition struct {
	*Projection
	registry *codec.Registry
	handlers *vocabulary.Handlers[handler]
	names    map[string]bool // all names under which the handled events may be stored
	later    []string        // those of names that are not in the shape
	query    eventstore.Query
	shape    string
}

// define returns the definition, or all its faults.
func (p *Projection) define(registry *codec.Registry) (*definition, error) {
	if p == nil {
		return nil, invalidf("the projection is nil")
	}
	faults := nameFaults("name", p.name, 200, "@")
	if err := reserved.View(p.name); err != nil {
		faults = append(faults, err)
	}
	if p.version == 0 {
		faults = append(faults, errors.New("versions start at 1"))
	}
	if p.OnFailure > Skip {
		faults = append(faults, fmt.Errorf("there is no failure policy %d", p.OnFailure))
	}
	if p.Timeout < 0 {
		faults = append(faults, fmt.Errorf("timeout %v is negative", p.Timeout))
	}
	faults = append(faults, p.tableFaults()...)
	d := &definition{Projection: p, registry: registry, names: make(map[string]bool)}
	var err error
	if d.handlers, err = vocabulary.Resolve(vocabulary.New(registry), p.handlers); err != nil {
		faults = append(faults, err)
	}
	selection, err := d.handlers.Select(eventstore.All())
	if err != nil {
		faults = append(faults, err)
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("%w: projection %s: %w", eventstore.ErrInvalid, quote.Name(p.name), errors.Join(faults...))
	}
	d.query = selection.Stored
	first := registry.FirstNames(d.handlers.Names()...)
	for _, name := range registry.StoredNames(d.handlers.Names()...) {
		d.names[name] = true
		if !slices.Contains(first, name) {
			d.later = append(d.later, name)
		}
	}
	d.shape = shape(first, p.tables)
	return d, nil
}

func (p *Projection) tableFaults() []error {
	var faults []error
	names := make(map[string]bool)
	for _, t := range p.tables {
		for _, fault := range t.check() {
			faults = append(faults, fmt.Errorf("table %s: %w", quote.Name(t.name), fault))
		}
		if names[t.name] {
			faults = append(faults, fmt.Errorf("two tables are named %s", quote.Name(t.name)))
		}
		names[t.name] = true
	}
	return faults
}

func (t *tableShape) check() []error {
	faults := append(nameFaults("name", t.name, 100, "/"), t.faults...)
	if fault := keyFault(t.key); fault != "" {
		faults = append(faults, errors.New(fault))
	}
	names := make(map[string]bool)
	for _, i := range t.indexes {
		for _, fault := range nameFaults("name", i.name, 100, "/") {
			faults = append(faults, fmt.Errorf("index %s: %w", quote.Name(i.name), fault))
		}
		if fault := keyFault(i.key); fault != "" {
			faults = append(faults, fmt.Errorf("index %s: %s", quote.Name(i.name), fault))
		}
		if names[i.name] {
			faults = append(faults, fmt.Errorf("two indexes are named %s", quote.Name(i.name)))
		}
		names[i.name] = true
	}
	return faults
}

func nameFaults(what, name string, limit int, reserved string) []error {
	var faults []error
	if name == "" || len(name) > limit {
		faults = append(faults, fmt.Errorf("the %s has %d bytes, 1 to %d are allowed", what, len(name), limit))
	}
	if strings.ContainsAny(name, "\x00"+reserved) {
		faults = append(faults, fmt.Errorf("the %s contains NUL or %q", what, reserved))
	}
	if !utf8.ValidString(name) {
		faults = append(faults, fmt.Errorf("the %s is not UTF-8", what))
	}
	return faults
}

// shape returns a digest of the parts of a definition that can be compared: the definition
// would not have written the rows of a build with another shape. The digest has the first
// names of the events, so that a renamed event does not change the shape.
func shape(names []string, tables []*tableShape) string {
	lines := tableLines(tables)
	for _, name := range names {
		lines = append(lines, fmt.Sprintf("event %q", name))
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:8])
}

// keyShape names the encoding of keys of a type, not the type: Go type names never reach
// the disk (I12).
func keyShape(t reflect.Type) string {
	if p, ok := reflect.Zero(t).Interface().(interface{ parts() []reflect.Type }); ok {
		parts := p.parts()
		return "(" + keyShape(parts[0]) + "," + keyShape(parts[1]) + ")"
	}
	switch v := reflect.Zero(t); {
	case v.Kind() == reflect.String:
		return "string"
	case v.CanInt():
		return "int"
	case v.CanUint():
		return "uint"
	case isUUID(t):
		return "uuid"
	default:
		return "time"
	}
}

// handle applies one stored event: it calls the handlers of the values that the event was
// decoded into, in order. Its error is a *HandlerError if the event or a handler is at
// fault, and another one if the store or the context is.
func (d *definition) handle(tx Tx, stored *eventstore.Event, decoded decoded) error {
	err := decoded.err
	for _, data := range decoded.values {
		h, taken := d.handlers.For(data)
		if !taken {
			continue
		}
		if err = call(h, tx, fold.Event[any]{Event: *stored, Data: data}); err != nil || tx.rows.err != nil {
			break
		}
	}
	if tx.rows.err != nil { // also if the handler has ignored it
		return fmt.Errorf("version %d: type %s at position %d: %w", d.version, quote.Name(stored.Type), stored.Position, tx.rows.err)
	}
	if err == nil {
		return nil
	}
	if tx.ctx.Err() != nil {
		return tx.ctx.Err()
	}
	return &HandlerError{Projection: d.name, Version: d.version, Position: stored.Position, Type: stored.Type, Err: err}
}

// call calls the handler and turns a panic into an error.
func call(h handler, tx Tx, e fold.Event[any]) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &PanicError{Value: r, Stack: debug.Stack()}
		}
	}()
	return h.apply(tx, e)
}
