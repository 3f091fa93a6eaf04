# Ten pipes of $size always have a byte to read; n deliveries of that news.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Meter;
use EV;

my (undef, undef, $size) = Meter::args(500000, 10);
my $left = Meter::phase();
my (@watchers, @ends);

for my $i (1 .. $size) {
  pipe my $in, my $out or die $!;
  syswrite $out, 'x' if $i <= 10;
  push @ends, $in, $out;
  push @watchers, EV::io $in, EV::READ, sub {
    return if --$left > 0;
    $left = Meter::phase() and return;
    EV::break;
    $left = 1e9;
  };
}

EV::run;
Meter::report();
