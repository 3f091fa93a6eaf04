# A function that postpones itself.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Meter;
use AnyEvent;

Meter::args(300000);
my $left;
my $done = AE::cv;

sub tick {
  --$left > 0 ? &AE::postpone(\&tick) : &AE::postpone(\&phase);
}

sub phase {
  $left = Meter::phase();
  $left ? &AE::postpone(\&tick) : $done->send;
}

phase();
$done->recv;
Meter::report();
