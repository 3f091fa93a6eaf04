# n children forked and reaped.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Meter;
use POE;
use POSIX ();

my ($n) = Meter::args(1000);
my $reaped = 0;

POE::Session->create(
  inline_states => {
    _start => sub {
      Meter::start();
      for (1 .. $n) {
        my $pid = fork;
        POSIX::_exit(0) if !$pid;
        $_[KERNEL]->sig_child($pid, 'reaped');
      }
    },
    reaped => sub {
      return if ++$reaped < $n;
      Meter::stop($n);
      Meter::set(lost => $n - $reaped);
    },
  },
);

POE::Kernel->run;
Meter::report();
