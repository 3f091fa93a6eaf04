-- An empty program: load, run nothing, end.
require("luv").run()
