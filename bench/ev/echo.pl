# A TCP echo server.
use strict;
use warnings;
use EV;
use IO::Socket::INET;

my $listener = IO::Socket::INET->new(
  Listen => 511, LocalAddr => '127.0.0.1', LocalPort => 0, Blocking => 0,
) or die $!;
my %watchers;

sub serve {
  my ($client) = @_;
  my $got = sysread $client, my $bytes, 65536;
  return if !defined $got && $!{EAGAIN};
  delete $watchers{ fileno $client }
    if !$got || syswrite($client, $bytes) != $got;
}

my $accept = EV::io $listener, EV::READ, sub {
  while (my $client = $listener->accept) {
    $client->blocking(0);
    $watchers{ fileno $client } = EV::io $client, EV::READ,
      sub { serve($client) };
  }
};

$| = 1;
print 'port=', $listener->sockport, "\n";
EV::run;
