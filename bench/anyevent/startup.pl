# An empty program: load, run nothing, end.
use strict;
use warnings;
use AnyEvent;

my $done = AE::cv;
$done->send;
$done->recv;
