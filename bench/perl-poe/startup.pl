# An empty program: load, run nothing, end.
use strict;
use warnings;
use POE;

POE::Kernel->run;
