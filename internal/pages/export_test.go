package pages

// Of returns the state that a meta page describes, of the content of a file.
func Of(content []byte, meta Meta) *Tx {
	t := &Tx{
		id: int(meta.TxID), size: int(meta.PageSize), highWater: meta.HighWater,
		bytes: content[:int(meta.HighWater)*int(meta.PageSize)],
	}
	t.root = Tree{tx: t, root: meta.Root, slack: t.size}
	return t
}
