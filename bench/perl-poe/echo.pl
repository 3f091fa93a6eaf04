# A TCP echo server over bare selects.
use strict;
use warnings;
use IO::Socket::INET;
use POE;

POE::Session->create(
  inline_states => {
    _start => sub {
      my $listener = IO::Socket::INET->new(
        Listen => 511, LocalAddr => '127.0.0.1', LocalPort => 0,
      ) or die $!;
      $_[KERNEL]->select_read($listener, 'accept');
      $| = 1;
      print 'port=', $listener->sockport, "\n";
    },
    accept => sub {
      my $client = $_[ARG0]->accept or return;
      $_[KERNEL]->select_read($client, 'readable');
    },
    readable => sub {
      my ($kernel, $client) = @_[KERNEL, ARG0];
      my $got = sysread $client, my $bytes, 65536;
      return if !defined $got && $!{EAGAIN};
      if (!$got || syswrite($client, $bytes) != $got) {
        $kernel->select_read($client);
        close $client;
      }
    },
  },
);

POE::Kernel->run;
