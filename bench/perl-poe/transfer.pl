# Megabytes over a TCP connection on the loopback, both ends in this process,
# through wheels: ReadWrite with Stream, 64 KiB a record.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Meter;
use Socket 'unpack_sockaddr_in';
use POE qw(Wheel::ReadWrite Wheel::SocketFactory Filter::Stream);

my $chunk = 'x' x 65536;
my $mib = 1024 * 1024;
my ($n, $warm) = Meter::args(256);
my $to_send = ($n + $warm) * $mib;
my ($to_receive, $is_warm) = ($to_send, 0);

sub transmit {
  my $sender = $_[HEAP]{sender};
  while ($to_send > 0) {
    $to_send -= length $chunk;
    return if $sender->put($chunk);
  }
}

POE::Session->create(inline_states => {
  _start => sub {
    my $server = $_[HEAP]{server} = POE::Wheel::SocketFactory->new(
      BindAddress => '127.0.0.1', BindPort => 0,
      SuccessEvent => 'accepted', FailureEvent => 'failed');
    my ($port) = unpack_sockaddr_in($server->getsockname);
    $_[HEAP]{client} = POE::Wheel::SocketFactory->new(
      RemoteAddress => '127.0.0.1', RemotePort => $port,
      SuccessEvent => 'connected', FailureEvent => 'failed');
  },
  accepted => sub {
    $_[HEAP]{receiver} = POE::Wheel::ReadWrite->new(Handle => $_[ARG0],
      Filter => POE::Filter::Stream->new, InputEvent => 'received',
      ErrorEvent => 'failed');
    delete $_[HEAP]{server};
  },
  connected => sub {
    $_[HEAP]{sender} = POE::Wheel::ReadWrite->new(Handle => $_[ARG0],
      Filter => POE::Filter::Stream->new, HighMark => 4 * length $chunk,
      LowMark => length $chunk, HighEvent => 'high', LowEvent => 'transmit',
      ErrorEvent => 'failed');
    $_[KERNEL]->yield('transmit');
  },
  high => sub { },
  transmit => \&transmit,
  received => sub {
    $to_receive -= length $_[ARG0];
    if (!$is_warm && $to_receive <= $n * $mib) {
      $is_warm = 1;
      Meter::start();
    }
    return if $to_receive > 0;
    Meter::stop($n);
    delete @{ $_[HEAP] }{qw(sender receiver client)};
  },
  failed => sub { die "@_[ARG0 .. ARG2]" },
});
POE::Kernel->run;
Meter::report();
