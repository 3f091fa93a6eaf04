# The echo server, with an idle watcher that never rests beside it.
use strict;
use warnings;
use EV;
use FindBin;

my $spin = EV::idle sub { };

do "$FindBin::Bin/echo.pl" or die $@;
