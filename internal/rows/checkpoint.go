package rows

import "github.com/yore-es/yore/eventstore"

// CloneCheckpoint returns a checkpoint that shares no memory with c.
func CloneCheckpoint(c eventstore.Checkpoint) eventstore.Checkpoint {
	c.Data = append([]byte(nil), c.Data...)
	if c.Fault != nil {
		fault := *c.Fault
		c.Fault = &fault
	}
	return c
}
