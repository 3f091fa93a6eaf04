#!/usr/bin/perl
# Runs one oracle scenario (JSON, see README.md) on real POE and prints the
# normalised trace on standard output.
#
#   run_poe.pl [--virtual[=SEED]] [--order=attach|id] [--stats] [--limit=N]
#              [--wall=SECONDS] [--late=SECONDS] [--amend] CASE.json
#   run_poe.pl --serve [--nocatch] [--amend]
#
# --virtual  replace POE's clock by a simulated one; SEED (default 0) > 0 adds
#            random lateness, so that a trace that depends on machine speed
#            differs between seeds
# --order    order in which siblings are visited where POE itself uses hash
#            order: attach (default, oldest attachment first) or id
# --late     the simulated clock is late by so much at every wake-up
# --amend    POE as amended by amend.pl: what our kernel should print
# --stats    after the trace, "# ..." lines: observed oddities
# --serve    POE is loaded once: each line of standard input is a command line
#            for a process of its own; the line "# end" follows what it prints.
#            --nocatch is for scenarios whose `catch` is false
use strict;
use warnings;
no warnings qw(redefine once prototype);
use JSON::PP ();
use Errno ();
use Time::HiRes ();

use constant { SESSION => 1, STATE => 4, SENDER => 5, BY => 9, ARG0 => 10 };

my %opt = (order => 'attach', limit => 600, wall => 20, late => 0);
sub options {
  while (@ARGV && $ARGV[0] =~ /^--(\w+)(?:=(.*))?$/) {
    $opt{$1} = defined $2 ? $2 : ($1 eq 'virtual' ? 0 : 1);
    shift @ARGV } }
options();
sub case { my $file = shift or die "usage: run_poe.pl [options] CASE.json\n";
  open my $fh, '<', $file or die "cannot open $file: $!\n";
  local $/;
  my $case = JSON::PP->new->utf8->decode(scalar <$fh>);
  die "unknown scenario format\n" unless ($case->{format} || 0) == 1;
  return $case }

my $sc = $opt{serve} ? undef : case(shift @ARGV);
$ENV{POE_CATCH_EXCEPTIONS} = $sc ? $sc->{catch} // 1 : !$opt{nocatch};
$ENV{POE_CATCH_EXCEPTIONS} = $ENV{POE_CATCH_EXCEPTIONS} ? 1 : 0;
delete @ENV{grep /^POE_(?:ASSERT|TRACE|EVENT_LOOP|USE)/, keys %ENV};
if ($opt{amend}) { require FindBin; require "$FindBin::Bin/amend.pl" }
require POE;
POE->import;
if ($opt{serve}) {
  $| = 1;
  while (defined(my $line = <STDIN>)) {
    if (my $pid = fork) { waitpid $pid, 0; print "# end\n"; next }
    @ARGV = split ' ', $line;
    options();
    $sc = case(shift @ARGV);
    last }
  exit unless $sc }
our $poe_kernel;
my $K = $POE::Kernel::poe_kernel;

my @out;
my %stat;
my $lines = 0; our $depth = 0;
my $t0;
my (%name_of, %id_of, %timer, %pb, %pipe, %rfd, %wfd);

sub finish { $stat{kept} = $POE::Kernel::amend_kept if $POE::Kernel::amend_kept;
  print map {"$_\n"} @out; print map {"# $_ $stat{$_}\n"} grep {$opt{stats}} sort keys %stat;
  close STDOUT; require POSIX; POSIX::_exit($_[0]) }
sub emit { push @out, join ' ', @_;
  if (++$lines > $opt{limit}) { push @out, 'X limit'; finish(3) } }

# ---- value formatting -------------------------------------------------
sub name { my $s = shift;
  return 'K' if ref $s eq 'POE::Kernel';
  return $name_of{$s->ID} // '?' }
sub val { my $v = shift;
  return 'nil' unless defined $v;
  if (my $r = ref $v) {
    return '[' . join(',', map val($_), @$v) . ']' if $r eq 'ARRAY';
    return '{' . join(' ', 'event=' . $v->{event}, 'from=' . name($v->{source_session}),
      'to=' . name($v->{dest_session}), 'by=' . ($v->{from_state} // '-'),
      'err=' . val($v->{error_str})) . '}' if $r eq 'HASH' && exists $v->{error_str};
    return "pipe:$rfd{fileno $v}" if $r eq 'GLOB' && exists $rfd{fileno $v};
    return "pipe:$wfd{fileno $v}" if $r eq 'GLOB';
    return $$v if $r eq 'SCALAR';   # an error's name, from amend.pl
    return name($v) if UNIVERSAL::can($v, 'ID');
    return $r;
  }
  return $v if $v =~ /^-?[0-9]+$/;
  if ($v =~ /^POE::(?:Session|Kernel)=/) { return '?ref' }
  chomp $v;
  $v =~ s/\n?Additional error thrown in handler for previous error:\n/ + /g;
  $v =~ s/ at \S+ line \d+\.?//g;
  $v =~ s/\n/\\n/g;
  return qq("$v") }
sub err { for my $e (qw(ESRCH EPERM EEXIST EINVAL)) { no strict 'refs';
    return $e if $! + 0 == &{"Errno::$e"}() } return 'fail' }
sub code { my $r = shift; return 'ok' unless $r; local $! = $r; err() }

# ---- targets ----------------------------------------------------------
sub target { my ($t, $self, $sender) = @_;
  return $K if $t eq 'K';
  return $self->ID if $t eq 'self';
  return $sender if $t eq 'sender';
  return $1 if $t =~ /^alias:(.+)/;
  return $id_of{$t} // 999999 }

# ---- operations -------------------------------------------------------
# What acts on the running session; after stop() there is none.
my %needs_session = map { $_ => 1 } qw(yield delay delay_add alarm alarm_add
  delay_set alarm_set alarm_remove alarm_adjust delay_adjust alarm_remove_all
  alias_set alias_remove alias_list sig unsig detach_myself detach_child state
  select_read select_write pause_read resume_read pause_write resume_write
  option);

sub ops { my ($list, $self, $sender) = @_;
  my $me = name($self);
  my $ret;
  for my $o (@$list) {
    my $op = $o->{op};
    my @a = @{ $o->{args} || [] };
    my $R = sub { emit('R', $depth, $me, $op, @_) };
    my $sec = exists $o->{ms} ? $o->{ms} / 1000 : undef;
    my $at = exists $o->{at} ? $t0 + $o->{at} / 1000 : defined $sec ? POE::Kernel::walltime() + $sec : undef;
    local $!; $! = 0;
    if ($needs_session{$op} && $K->get_active_session == $K) { $R->('outside'); next }
    if ($op eq 'post')   { my $r = $K->post(target($o->{to}, $self, $sender), $o->{ev}, @a); $R->($o->{to}, $o->{ev}, $r ? 1 : err()) }
    elsif ($op eq 'yield') { $K->yield($o->{ev}, @a) }
    elsif ($op eq 'call') { my $r = $K->call(target($o->{to}, $self, $sender), $o->{ev}, @a); $R->($o->{to}, $o->{ev}, $! ? err() : val($r)) }
    elsif ($op eq 'trycall') {
      my ($r, $e); my $ok = eval { $r = $K->call(target($o->{to}, $self, $sender), $o->{ev}, @a); $e = $! ? err() : undef; 1 };
      my $x = $@; $R->($o->{to}, $o->{ev}, !$ok ? 'died ' . val($x) : $e ? $e : val($r)) }
    elsif ($op eq 'delay')     { $K->delay($o->{ev}, defined $sec ? ($sec, @a) : ()) }
    elsif ($op eq 'delay_add') { $K->delay_add($o->{ev}, $sec, @a) }
    elsif ($op eq 'alarm')     { $K->alarm($o->{ev}, defined $at ? ($at, @a) : ()) }
    elsif ($op eq 'alarm_add') { $K->alarm_add($o->{ev}, $at, @a) }
    elsif ($op eq 'delay_set') { $timer{$o->{id}} = $K->delay_set($o->{ev}, $sec, @a) }
    elsif ($op eq 'alarm_set') { $timer{$o->{id}} = $K->alarm_set($o->{ev}, $at, @a) }
    elsif ($op eq 'alarm_remove') { my $r = $K->alarm_remove($timer{$o->{id}} // 999999999); $R->($o->{id}, $r ? ($r->[0], val($r->[2])) : err()) }
    elsif ($op eq 'alarm_adjust') { my $r = $K->alarm_adjust($timer{$o->{id}} // 999999999, $sec); $R->($o->{id}, defined $r ? 'ok' : err()) }
    elsif ($op eq 'delay_adjust') { my $r = $K->delay_adjust($timer{$o->{id}} // 999999999, $sec); $R->($o->{id}, defined $r ? 'ok' : 'fail') }
    elsif ($op eq 'alarm_remove_all') { $R->('[' . join(',', map $_->[0], $K->alarm_remove_all) . ']') }
    elsif ($op eq 'alias_set')    { $R->($o->{alias}, code($K->alias_set($o->{alias}))) }
    elsif ($op eq 'alias_remove') { $R->($o->{alias}, code($K->alias_remove($o->{alias}))) }
    elsif ($op eq 'alias_resolve') { my $s = $K->alias_resolve($o->{alias}); $R->($o->{alias}, defined $s ? name($s) : err()) }
    elsif ($op eq 'alias_list')   { $R->('[' . join(',', $K->alias_list) . ']') }
    elsif ($op eq 'exists') { $R->($o->{to}, $K->ID_id_to_session($id_of{$o->{to}} // 999999) ? 1 : 0) }
    elsif ($op eq 'sig')    { $K->sig($o->{sig}, $o->{ev}, @a) }
    elsif ($op eq 'unsig')  { $K->sig($o->{sig}) }
    elsif ($op eq 'signal') { my $r = $K->signal(target($o->{to}, $self, $sender), $o->{sig}, @a); $R->($o->{to}, $o->{sig}, $r ? 1 : err()) }
    elsif ($op eq 'sig_handled') { $K->sig_handled }
    elsif ($op eq 'ref_inc') { my $r = $K->refcount_increment(target($o->{to}, $self, $sender), $o->{tag}); $R->($o->{to}, $o->{tag}, $r // err()) }
    elsif ($op eq 'ref_dec') { my $r = $K->refcount_decrement(target($o->{to}, $self, $sender), $o->{tag}); $R->($o->{to}, $o->{tag}, $r // err()) }
    elsif ($op eq 'detach_myself') { my $r = $K->detach_myself; $R->($r ? 1 : err()) }
    elsif ($op eq 'detach_child')  { my $r = $K->detach_child(target($o->{to}, $self, $sender)); $R->($o->{to}, $r ? 1 : err()) }
    elsif ($op eq 'spawn') { spawn($o->{name}); $R->($o->{name}, 'ok') }
    elsif ($op eq 'state') { my $name = name($self); $K->state($o->{ev}, $o->{on} ? handler($name, $o->{on}) : ()) }
    elsif ($op eq 'postback' || $op eq 'callback') { $pb{$o->{slot}} = $self->$op($o->{ev}, @a) }
    elsif ($op eq 'fire') { my $f = $pb{$o->{slot}}; if (!$f) { $R->($o->{slot}, 'none') } else { my $r = $f->(@a); $R->($o->{slot}, val($r)) } }
    elsif ($op eq 'drop') { delete $pb{$o->{slot}} }
    elsif ($op eq 'select_read')  { $K->select_read($pipe{$o->{p}}[0], $o->{ev} ? ($o->{ev}, @a) : ()) }
    elsif ($op eq 'select_write') { $K->select_write($pipe{$o->{p}}[1], $o->{ev} ? ($o->{ev}, @a) : ()) }
    elsif ($op eq 'pause_read')   { $R->($o->{p}, $K->select_pause_read($pipe{$o->{p}}[0])) }
    elsif ($op eq 'resume_read')  { $R->($o->{p}, $K->select_resume_read($pipe{$o->{p}}[0])) }
    elsif ($op eq 'pause_write')  { $R->($o->{p}, $K->select_pause_write($pipe{$o->{p}}[1])) }
    elsif ($op eq 'resume_write') { $R->($o->{p}, $K->select_resume_write($pipe{$o->{p}}[1])) }
    elsif ($op eq 'option') { my $r = $self->option($o->{name}, $o->{set} ? $o->{val} : ()); $R->($o->{name}, val($r)) }
    elsif ($op eq 'slice')  { $K->run_one_timeslice; $R->('done') }
    elsif ($op eq 'pwrite') { syswrite $pipe{$o->{p}}[1], 'x' x $o->{n} }
    elsif ($op eq 'pread')  { my $n = sysread $pipe{$o->{p}}[0], my $buf, $o->{n}; $R->($o->{p}, defined $n ? $n : 'again') }
    elsif ($op eq 'die')  { die "$o->{msg}\n" }
    elsif ($op eq 'ret')  { $ret = $o->{val} }
    elsif ($op eq 'kstop') { $K->stop; $R->('done') }
    elsif ($op eq 'log')  { $R->($o->{msg}) }
    else { die "unknown op $op" }
  }
  return $ret }

sub handler { my ($name, $steps) = @_;
  my $n = 0;
  return sub {
    my @args = @_[ARG0 .. $#_];
    my $self = $_[SESSION];
    if ($_[STATE] eq '_start' and !defined $id_of{$name}) {
      $id_of{$name} = $self->ID; $name_of{$self->ID} = $name }
    my $ops = $steps->[$n++];
    my $sender = $_[SENDER];
    emit('D', $depth, $name, $_[STATE], name($sender), $_[BY] || '-', val(\@args));
    return unless $ops && @$ops;
    local $depth = $depth + 1;
    return scalar ops($ops, $self, $sender) } }

sub spawn { my $name = shift;
  my $s = $sc->{sessions}{$name} or die "no session $name";
  # POE that has ended within a slice can make none before run() returns.
  $stat{ended}++ unless $K->_data_ses_exists($K->ID);
  my $on = { _start => [], %{ $s->{on} } };
  POE::Session->create(
    inline_states => { map { $_ => handler($name, $on->{$_}) } keys %$on },
    args => $s->{args} || [],
    ($s->{options} ? (options => $s->{options}) : ())) ; return }

# ---- determinism: replace hash order by a defined order -----------------
my (%attach, $seq);
{ my $alloc = \&POE::Kernel::_data_ses_allocate;
  *POE::Kernel::_data_ses_allocate = sub { $attach{$_[2]} = ++$seq; &$alloc };
  my $move = \&POE::Kernel::_data_ses_move_child;
  *POE::Kernel::_data_ses_move_child = sub { $attach{$_[1]} = ++$seq; &$move };
  my $kids = \&POE::Kernel::_data_ses_get_children;
  *POE::Kernel::_data_ses_get_children = $opt{order} eq 'id'
    ? sub { sort { $a->ID <=> $b->ID } &$kids }
    : sub { sort { $attach{$a->ID} <=> $attach{$b->ID} } &$kids };
  my $ready = \&POE::Kernel::_data_handle_enqueue_ready;
  *POE::Kernel::_data_handle_enqueue_ready = sub { my ($self, $mode, @fd) = @_;
    $ready->($self, $mode, sort { $a <=> $b } @fd) };
}

# ---- oddities worth knowing about a case ---------------------------------
{ my $stop = \&POE::Kernel::_data_ses_stop;
  my $sweep = \&POE::Kernel::_data_ses_gc_sweep;
  our $in_sweep = 0;
  *POE::Kernel::_data_ses_gc_sweep = sub { local $in_sweep = 1; &$sweep };
  *POE::Kernel::_data_ses_stop = sub { my ($self, $sid) = @_;
    $stat{revived_in_sweep}++ if $in_sweep and $K->_data_ses_exists($sid) and $K->_data_ses_refcount($sid) > 0
      and $sid ne $K->ID;
    local $in_sweep = 0;
    &$stop };
  my $clear = \&POE::Kernel::_data_ev_clear_session;
  *POE::Kernel::_data_ev_clear_session = sub { my ($self, $sid) = @_;
    if ($sid ne $K->ID) {
    $stat{events_to_dead_dropped}++ if $K->_data_ev_get_count_to($sid);
    $stat{events_from_dead_dropped}++ if $K->_data_ev_get_count_from($sid); }
    &$clear };
}

# ---- simulated clock -----------------------------------------------------
if (exists $opt{virtual}) {
  my $jit = $opt{virtual};
  srand($jit) if $jit;
  my $now = Time::HiRes::time() + 10;   # must be past the clock POE has already seen
  my $clock = sub () { $now += $jit ? 0.000002 + rand(0.0002) : 0.000002; $now };
  *POE::Kernel::monotime = $clock;
  *POE::Kernel::walltime = $clock;
  *POE::Kernel::time     = $clock;
  my %w = (0 => {}, 1 => {}, 2 => {});
  for my $f (qw(watch resume)) { my $n = "loop_${f}_filehandle"; no strict 'refs'; my $o = \&{"POE::Kernel::$n"};
    *{"POE::Kernel::$n"} = sub { $w{$_[2]}{fileno $_[1]} = 1; &$o } }
  for my $f (qw(ignore pause)) { my $n = "loop_${f}_filehandle"; no strict 'refs'; my $o = \&{"POE::Kernel::$n"};
    *{"POE::Kernel::$n"} = sub { delete $w{$_[2]}{fileno $_[1]}; &$o } }
  *POE::Kernel::loop_do_timeslice = sub { my $self = shift;
    $self->_test_if_kernel_is_idle;
    my $next = $self->get_next_event_time;
    my @v = ('', '', '');
    for my $m (0 .. 2) { vec($v[$m], $_, 1) = 1 for keys %{ $w{$m} } }
    my $hits = CORE::select(my $r = $v[0], my $wr = $v[1], my $e = $v[2], 0);
    my %rdy;
    if ($hits > 0) { my @o = ($r, $wr, $e);
      for my $m (0 .. 2) { $rdy{$m} = [ grep { vec($o[$m], $_, 1) } keys %{ $w{$m} } ] } }
    else {
      if (!defined $next) { push @out, 'X hang'; finish(4) }
      if ($next > $now) { $now = $next + ($jit ? rand(0.004) : $opt{late}) } }
    local $POE::Kernel::amend_this_pass = ++$POE::Kernel::amend_pass;
    for my $m (0 .. 2) { $self->_data_handle_enqueue_ready($m, @{ $rdy{$m} }) if $rdy{$m} && @{ $rdy{$m} } }
    $self->_data_ev_dispatch_due };
}

# ---- go --------------------------------------------------------------------
my $wanted = qr/^=== \d+ === (?:\S+ -> |redefining|a '\S+' event was sent)/;
$SIG{__WARN__} = sub { return if $_[0] =~ $wanted; $stat{warning}++; print STDERR @_ if $ENV{ORACLE_WARN} };
$SIG{ALRM} = sub { push @out, 'X timeout'; finish(5) };
alarm $opt{wall};
for my $p (@{ $sc->{pipes} || [] }) {
  pipe(my $r, my $w) or die $!;
  $_->blocking(0) for $r, $w;
  $pipe{$p} = [$r, $w];
  $rfd{fileno $r} = $p; $wfd{fileno $w} = $p }
$t0 = POE::Kernel::walltime();
for my $run (@{ $sc->{runs} || [ $sc->{roots} ] }) {
  spawn($_) for @$run;
  my $ok = eval { if ($sc->{slices}) { 1 while $K->run_one_timeslice } else { POE::Kernel->run } 1 };
  my $e = $@;
  emit('X', $ok ? 'returned' : 'died ' . val($e));
}
finish(0);
