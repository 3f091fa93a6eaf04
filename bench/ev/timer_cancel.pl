# Makes a timer and drops it, while $size others wait.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Meter;
use EV;

my (undef, undef, $size) = Meter::args(500000, 100000);
my @delays = Meter::delays(100, 200);

sub late { }

my $before  = Meter::rss();
my @waiting = map { EV::timer $delays[ $_ & 4095 ], 0, \&late } 1 .. $size;
Meter::set(bytes => (Meter::rss() - $before) / $size);
while (my $times = Meter::phase()) {
  for my $i (1 .. $times) {
    my $timer = EV::timer $delays[ $i & 4095 ], 0, \&late;
  }
}
Meter::report();
