# An empty program: load, run nothing, end.
use strict;
use warnings;
use EV;

EV::run;
