# Sets one of $size waiting timers anew.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Meter;
use EV;

my (undef, undef, $size) = Meter::args(500000, 100000);
my @delays = Meter::delays(100, 200);

my @timers = map { EV::timer $delays[ $_ & 4095 ], 0, sub { } } 1 .. $size;
while (my $times = Meter::phase()) {
  for my $i (1 .. $times) {
    $timers[ $i * 7919 % $size ]->set($delays[ $i & 4095 ], 0);
  }
}
Meter::report();
