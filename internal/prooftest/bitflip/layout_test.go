package bitflip

import (
	"strings"
	"testing"

	"github.com/yore-es/yore/internal/prooftest/sample"
)

// TestLayout_KnowsEveryPageOfTheSample expects that the sample has pages of all
// kinds and that the layout knows each.
func TestLayout_KnowsEveryPageOfTheSample(t *testing.T) {
	dir := t.TempDir()
	known, err := sample.New(t.Context(), t.TempDir(), dir, 1)
	if err != nil {
		t.Fatal(err)
	}
	_, content, err := sample.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	pages, err := layout(content)
	if err != nil {
		t.Fatal(err)
	}
	bytes, roles, long := 0, map[string]int{}, 0
	for _, p := range pages {
		if p.offset != bytes {
			t.Fatalf("a page at %d, the one before ends at %d", p.offset, bytes)
		}
		bytes += p.size
		roles[p.role]++
		if p.role == "log leaf" && p.size > p.structure() && p.size > 4096 {
			long++
		}
	}
	if bytes != known.Used {
		t.Errorf("pages of %d bytes in a file of %d", bytes, known.Used)
	}
	for _, role := range []string{"meta", "freelist", "free", "root leaf", "log branch", "log leaf", "index branch", "index leaf", "inline leaf", "async leaf", "faulted leaf"} {
		if roles[role] == 0 {
			t.Errorf("no page is %s; there are %v", role, roles)
		}
	}
	if heads := packHeads(content, pages); len(heads) < 5 {
		t.Errorf("%d packs", len(heads))
	}
	if long == 0 {
		t.Error("no record needs several pages")
	}
}

// TestExamine_TellsDamageFromNone examines a changed payload, and an unchanged file.
func TestExamine_TellsDamageFromNone(t *testing.T) {
	dir, scratch := t.TempDir(), t.TempDir()
	if _, err := sample.New(t.Context(), scratch, dir, 2); err != nil {
		t.Fatal(err)
	}
	known, content, err := sample.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(string(content), string(known.Events[7].Data))
	if at < 0 {
		t.Fatal("the payload of event 8 is not in the file")
	}
	for _, readOnly := range []bool{false, true} {
		o := examine(t.Context(), known, content, scratch, Case{ReadOnly: readOnly})
		if o.Class != sample.Harmless || o.Appended == readOnly {
			t.Errorf("nothing changed, read-only %v: %+v", readOnly, o)
		}
		damage := Edit{at, []byte{content[at] + 1}}
		o = examine(t.Context(), known, content, scratch, Case{Edits: []Edit{damage}, ReadOnly: readOnly})
		if o.Class != sample.Detected || !o.Verified {
			t.Errorf("a changed payload, read-only %v: %+v", readOnly, o)
		}
		lie := *known
		lie.Events = append(lie.Events[:0:0], lie.Events...)
		lie.Events[9].Data = []byte("something else")
		if o := examine(t.Context(), &lie, content, scratch, Case{ReadOnly: readOnly}); o.Class != sample.Fabricated {
			t.Errorf("an event that is not what was written, read-only %v: %+v", readOnly, o)
		}
	}
}
