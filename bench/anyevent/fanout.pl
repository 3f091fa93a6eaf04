# One function postpones a call for each of $size objects, again and again.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Meter;
use AnyEvent;

my (undef, undef, $size) = Meter::args(300000, 1000);
my $left;
my $done    = AE::cv;
my @workers = map { {} } 1 .. $size;

sub work { $_[0]{last} = $_[1] }

sub a_round {
  for my $i (1 .. $size) {
    my $worker = $workers[ $i - 1 ];
    AE::postpone { work($worker, $i) };
  }
  $left -= $size;
  &AE::postpone($left > 0 ? \&a_round : \&phase);
}

sub phase {
  $left = Meter::phase() or return $done->send;
  &AE::postpone(\&a_round);
}

phase();
$done->recv;
Meter::report();
