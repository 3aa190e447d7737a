package layout_test

import (
	"testing"

	"github.com/yore-es/yore/internal/prooftest/layout"
	"github.com/yore-es/yore/internal/prooftest/sample"
)

// TestLayout_KnowsEveryPageOfTheSample expects that the sample has pages of all
// kinds and that the layout knows each.
func TestLayout_KnowsEveryPageOfTheSample(t *testing.T) {
	dir := t.TempDir()
	known, err := sample.New(t.Context(), t.TempDir(), dir, sample.Build{Seed: 1, Indexed: true})
	if err != nil {
		t.Fatal(err)
	}
	_, content, err := sample.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	pages, err := layout.Pages(content)
	if err != nil {
		t.Fatal(err)
	}
	bytes, roles, long := 0, map[string]int{}, 0
	for _, p := range pages {
		if p.Offset != bytes {
			t.Fatalf("a page at %d, the one before ends at %d", p.Offset, bytes)
		}
		bytes += p.Size
		roles[p.Role]++
		if p.Role == "log leaf" && p.Size > p.Structure() && p.Size > 4096 {
			long++
		}
	}
	if bytes != known.Used {
		t.Errorf("pages of %d bytes in a file of %d", bytes, known.Used)
	}
	for _, role := range []string{"meta", "freelist", "free", "root leaf", "log branch", "log leaf", "index branch", "index leaf", "rows/inline leaf", "rows/async leaf", "rows/faulted leaf", "changes/inline leaf", "checkpoints leaf"} {
		if roles[role] == 0 {
			t.Errorf("no page is %s; there are %v", role, roles)
		}
	}
	if heads := layout.PackHeads(content, pages); len(heads) < 5 {
		t.Errorf("%d packs", len(heads))
	}
	if long == 0 {
		t.Error("no record needs several pages")
	}
}
