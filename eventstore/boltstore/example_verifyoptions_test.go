package boltstore_test

import (
	"context"
	"log"

	"github.com/yore-es/yore/eventstore/boltstore"
)

// How to report damage to what watches a program: a line for each finding, up to a number of
// lines. A log whose last event is damaged can still be opened for reading.
func ExampleVerifyOptions() {
	defer inShop("mug", "plate", "spoon", "fork")()
	overwriteText("sku")
	store, err := boltstore.Open("shop.yore", &boltstore.Options{ReadOnly: true})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()

	v, err := store.Verify(context.Background(), &boltstore.VerifyOptions{MaxFindings: 2})
	if err != nil {
		log.Fatal(err)
	}
	logger := toOutput()
	for _, f := range v.Findings {
		logger.Error("damage", "kind", f.Kind, "position", f.Position, "view", f.View, "problem", f.Problem)
	}
	if v.Omitted > 0 {
		logger.Error("more damage", "findings", v.Omitted)
	}
	// Output:
	// level=ERROR msg=damage kind="damaged record" position=1 view="" problem="the payload or the metadata fail their checksum"
	// level=ERROR msg=damage kind="damaged record" position=2 view="" problem="the payload or the metadata fail their checksum"
	// level=ERROR msg="more damage" findings=2
}
