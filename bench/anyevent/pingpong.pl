# Two objects send each other an integer and a string by postponed calls.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Meter;
use AnyEvent;

Meter::args(300000);
my $left;
my $done = AE::cv;
my ($one, $other) = ({}, {});
$one->{peer}   = $other;
$other->{peer} = $one;

sub ball {
  my ($self, $number, $text) = @_;
  if (--$left > 0) {
    my $peer = $self->{peer};
    AE::postpone { ball($peer, $number, $text) };
  }
  else {
    AE::postpone { phase($self) };
  }
}

sub phase {
  my ($self) = @_;
  $left = Meter::phase() or return $done->send;
  AE::postpone { ball($self->{peer}, 1, 'text') };
}

phase($one);
$done->recv;
Meter::report();
