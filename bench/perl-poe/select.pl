# Ten pipes of $size always have a byte to read; n deliveries of that news.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Meter;
use POE;

my (undef, undef, $size) = Meter::args(50000, 10);
my ($left, @ends);

POE::Session->create(
  inline_states => {
    _start => sub {
      for my $i (1 .. $size) {
        pipe my $in, my $out or die $!;
        syswrite $out, 'x' if $i <= 10;
        push @ends, $in, $out;
        $_[KERNEL]->select_read($in, 'ready');
      }
      $left = Meter::phase();
    },
    ready => sub {
      return if --$left > 0;
      $left = Meter::phase() and return;
      $_[KERNEL]->select_read($ends[ 2 * $_ ]) for 0 .. $size - 1;
    },
  },
);

POE::Kernel->run;
Meter::report();
