-- An empty program: load, run nothing, end.
assert(require("cqueues").new():loop())
