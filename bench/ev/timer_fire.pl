# Sets n timers with one integer, due within 100 ms, and lets them all fire.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Meter;
use EV;

my ($n) = Meter::args(200000);
my @delays = Meter::delays(0, 0.1);
my $count  = 0;
my %timers;

sub due {
  my ($timer) = @_;
  delete $timers{ $timer->data };
  Meter::stop($n) if ++$count == $n;
}

Meter::start();
for my $i (1 .. $n) {
  my $timer = EV::timer $delays[ $i & 4095 ], 0, \&due;
  $timer->data($i);
  $timers{$i} = $timer;
}
EV::run;
Meter::report();
