#!/usr/bin/env python3
"""Fresh random scenarios on POE and on our kernel; a difference is shrunk.

  fuzz.py                            200 scenarios, the seeds from the date
  fuzz.py --seed 1000 --count 500    scenarios of seeds 1000 to 1499
  fuzz.py --case FILE.json           one scenario, shrunk if it differs

POE is the amended one (amend.pl: with our deliberate differences), so that no
scenario has to be left out for them. With --plain it is POE as it is, and
scenarios where the two POEs differ are skipped. Also skipped: those that
gen.py would not keep (no end, POE warns, and the like) and those whose trace
depends on timing. Needs libpoe-perl. Exit status 1 if anything differs.
"""
import argparse
import concurrent.futures
import copy
import difflib
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
import gen  # noqa: E402
import more  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
HOST = os.environ.get('POE_BIN') or os.path.join(
    HERE, '..', '..', 'build', 'bin', 'poe')
OURS = [HOST, '--virtual-time', os.path.join(HERE, 'run.lua')]
TIMEOUT = 20
LIMIT = 3  # run.lua's status when a trace is too long
# A handler went on after kstop. POE's kernel is a silent session; ours raises.
OUTSIDE = 'needs a running session'
# What the session options trace, debug and default print.
CHATTER = re.compile('=== ')
CLOCKS = [('--virtual', '--late=%g' % s) for s in (.0001, .001, .005)]
CLOCKS += [('--virtual=%d' % seed,) for seed in range(1, 7)]
CLOCKS += [()]  # the real one


class Served:
    """POE, loaded once; each scenario gets a process forked from it."""

    def __init__(self, options):
        self.process = subprocess.Popen(
            ['perl', gen.RUN, '--serve', *options], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            encoding='utf-8', errors='replace')

    def run(self, *words):
        self.process.stdin.write(' '.join(words) + '\n')
        self.process.stdin.flush()
        lines = []
        for line in self.process.stdout:
            if line == '# end\n':
                return ''.join(lines)
            lines.append(line)
        raise RuntimeError('run_poe.pl --serve ended')


class Bench:
    """Runs scenarios on both sides, each from a file of its own."""

    def __init__(self, ours, amend, folder):
        self.ours, self.amend, self.folder = ours, amend, folder
        self.own = threading.local()

    def file(self, scenario):
        handle, path = tempfile.mkstemp('.json', dir=self.folder)
        with os.fdopen(handle, 'w') as f:
            json.dump(scenario, f)
        return path

    def our_trace(self, path, real=False):
        command = [x for x in self.ours
                   if not (real and x == '--virtual-time')]
        try:
            done = subprocess.run(
                command + [path], stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            return ['X timeout']
        lines = done.stdout.decode(errors='replace').splitlines()
        lines = [x for x in lines if not CHATTER.match(x)]
        if done.returncode not in (0, LIMIT):
            lines.append('X status %d' % done.returncode)
        return lines

    def served(self, catch, amend):
        """this thread's POE of that kind"""
        options = [] if catch else ['--nocatch']
        if amend:
            options.append('--amend')
        name = 'poe' + ''.join(options)
        if not hasattr(self.own, name):
            setattr(self.own, name, Served(options))
        return getattr(self.own, name)

    def poe_trace(self, path, catch, clock=('--virtual',), amend=True):
        poe = self.served(catch, amend)
        return gen.split(poe.run('--wall=3', *clock, '--stats', path))

    @staticmethod
    def is_forgotten(scenario, theirs, ours):
        """An error of a session that stops, which POE tells nobody of (W14).
        Ours stops all for it and dies."""
        if not any(event == '_stop' or any(op['op'] == 'kstop' for op in step)
                   for (_, event, _), step in steps_of(scenario)):
            return False
        same = len(os.path.commonprefix([ours, theirs]))
        return (theirs[-1] == 'X returned' and
                ours[-1].startswith('X died ') and
                all(re.search(r'D \d+ \S+ (_stop|_child|_parent) ', line)
                    for line in ours[same:-1]))

    @staticmethod
    def is_over(scenario, theirs, ours):
        """A session that its own _child stopped is over at once; the amended
        POE sees it only when some other handler has returned."""
        refused = [re.escape(line[:-len('outside')]) for line in ours
                   if re.search(r'R \d+ \S+ \S+ outside$', line)]
        if not refused or not any(
                event == '_child' and any(step['op'] == 'kstop'
                                          for step in steps)
                for (_, event, _), steps in steps_of(scenario)):
            return False
        its = re.compile('|'.join(refused))
        return ([line for line in ours if not its.match(line)] ==
                [line for line in theirs if not its.match(line)])

    def is_tie(self, scenario, catch):
        """An alarm and a delay that are due at once: the rounding of a float
        says whose turn it is.  A millisecond apart all is equal."""
        for apart in -1, 1:
            moved = copy.deepcopy(scenario)
            alarms = [op for _, step in steps_of(moved)
                      for op in step if 'at' in op]
            for op in alarms:
                op['at'] += apart
            path = self.file(moved)
            try:
                if not alarms or self.our_trace(path) != self.poe_trace(
                        path, catch, amend=self.amend)[0]:
                    return False
            finally:
                os.unlink(path)
        return True

    def compare(self, scenario):
        """(why skipped or None, POE's trace, our trace)"""
        path = self.file(scenario)
        catch = scenario.get('catch', True)
        try:
            theirs, stats = self.poe_trace(path, catch, amend=self.amend)
            why = gen.bad(theirs, stats, scenario)
            if why:
                return why, theirs, None
            ours = self.our_trace(path)
            if ours == theirs:
                return None, theirs, ours
            if any(OUTSIDE in line for line in ours):
                return 'outside of a session', theirs, ours
            if self.is_forgotten(scenario, theirs, ours):
                return 'POE forgets an error of the stop', theirs, ours
            if self.is_over(scenario, theirs, ours):
                return 'the session is over', theirs, ours
            if not self.amend and self.poe_trace(path, catch)[0] != theirs:
                return 'differs on purpose', theirs, ours
            for clock in CLOCKS:
                if self.poe_trace(
                        path, catch, clock, self.amend)[0] != theirs:
                    return 'depends on timing', theirs, ours
            if self.is_tie(scenario, catch):
                return 'a tie of alarm and delay', theirs, ours
            return None, theirs, ours
        finally:
            os.unlink(path)

    def is_by_time(self, scenario, theirs):
        """On the real clock ours is theirs, now and then at least."""
        path = self.file(scenario)
        try:
            return any(self.our_trace(path, real=True) == theirs
                       for _ in range(3))
        finally:
            os.unlink(path)

    def differs(self, scenario):
        why, theirs, ours = self.compare(scenario)
        return not why and theirs != ours


def steps_of(scenario):
    for name, session in scenario['sessions'].items():
        for event, steps in session['on'].items():
            for i, step in enumerate(steps):
                yield (name, event, i), step


def parts(scenario, level):
    """the paths of what may be left out at this level"""
    sessions = scenario['sessions']
    if level == 'session':
        return [(n,) for n in sessions]
    if level == 'handler':
        return [(n, e) for n, s in sessions.items() for e in s['on']]
    if level == 'step':
        return [path for path, _ in steps_of(scenario)]
    if level == 'operation':
        return [path + (j,) for path, step in steps_of(scenario)
                for j in range(len(step))]
    if level == 'arguments':
        return [('args', n) for n, s in sessions.items() if 'args' in s] + [
            path + (j, 'args') for path, step in steps_of(scenario)
            for j, op in enumerate(step) if op.get('args')]
    return [('pipes', p) for p in scenario.get('pipes', [])]


def used_pipes(scenario):
    return {op.get('p') for _, step in steps_of(scenario) for op in step}


def without(scenario, paths):
    """a copy of the scenario that lacks the parts at these paths"""
    drop = set(paths)
    result = copy.deepcopy(scenario)
    sessions = {}
    for name, session in result['sessions'].items():
        if (name,) in drop:
            continue
        on = {}
        for event, steps in session['on'].items():
            if (name, event) in drop:
                continue
            on[event] = [
                thinned(step, (name, event, i), drop)
                for i, step in enumerate(steps)
                if (name, event, i) not in drop]
        session['on'] = on
        if ('args', name) in drop:
            session.pop('args')
        sessions[name] = session
    result['sessions'] = sessions
    if 'roots' in result:
        result['roots'] = [n for n in result['roots'] if n in sessions]
    if 'runs' in result:
        result['runs'] = [[n for n in run if n in sessions]
                          for run in result['runs']]
    if 'pipes' in result:
        used = used_pipes(result)
        result['pipes'] = [p for p in result['pipes']
                           if ('pipes', p) not in drop or p in used]
    return result


def thinned(step, path, drop):
    """the step without dropped operations, arguments and sessions"""
    gone = {p[0] for p in drop if len(p) == 1}
    kept = []
    for j, op in enumerate(step):
        if path + (j,) in drop or op['op'] == 'spawn' and op['name'] in gone:
            continue
        if path + (j, 'args') in drop:
            op.pop('args')
        kept.append(op)
    return kept


def shrink_level(scenario, level, differs):
    items = parts(scenario, level)
    size = max(1, len(items) // 2)
    while size:
        at = 0
        while at < len(items):
            smaller = without(scenario, items[at:at + size])
            if smaller != scenario and differs(smaller):
                scenario, items = smaller, parts(smaller, level)
            else:
                at += size
        size //= 2
    return scenario


def shrink(scenario, differs):
    levels = ('session', 'handler', 'step', 'operation', 'arguments', 'pipes')
    while True:
        before = scenario
        for level in levels:
            scenario = shrink_level(scenario, level, differs)
        if scenario == before:
            return scenario


def show(scenario, theirs, ours):
    print(gen.dump(scenario), end='')
    print('--- POE\n+++ ours')
    for line in difflib.ndiff(theirs, ours):
        if not line.startswith('?'):
            print(line)
    sys.stdout.flush()


def report(bench, name, scenario, options):
    print('=== %s differs' % name, flush=True)
    if not options.no_shrink:
        scenario = shrink(scenario, bench.differs)
    _, theirs, ours = bench.compare(scenario)
    show(scenario, theirs, ours)
    if options.keep:
        with open(os.path.join(options.keep, name + '.json'), 'w') as f:
            f.write(gen.dump(scenario))


def search(bench, options):
    """compares scenario after scenario, reports up to --stop of them"""
    print('fuzz.py --seed %d --count %d' % (options.seed, options.count),
          flush=True)
    skipped, equal, different = {}, 0, 0
    seeds = range(options.seed, options.seed + options.count)
    pool = concurrent.futures.ThreadPoolExecutor(options.jobs)
    tried = pool.map(lambda s: (s, bench.compare(options.generator(s))), seeds)
    for seed, (why, theirs, ours) in tried:
        if not why and theirs != ours and bench.is_by_time(
                options.generator(seed), theirs):
            why = 'depends on timing'
        if why:
            skipped[why] = skipped.get(why, 0) + 1
        elif theirs == ours:
            equal += 1
        else:
            different += 1
            report(bench, 'seed%d' % seed, options.generator(seed),
                   options)
            if different == options.stop:
                break
    pool.shutdown(cancel_futures=True)
    for why, count in sorted(skipped.items()):
        print('skip %d: %s' % (count, why))
    print('%d passed, %d failed' % (equal, different))
    return different


def one(bench, options):
    with open(options.case) as f:
        scenario = json.load(f)
    why, theirs, ours = bench.compare(scenario)
    if why:
        print('skipped: %s' % why)
    elif theirs != ours:
        name = os.path.basename(options.case).split('.')[0]
        report(bench, name, scenario, options)
        return 1
    return 0


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--seed', type=int,
                        default=int(time.strftime('%Y%m%d%H%M%S')))
    parser.add_argument('--count', type=int, default=200)
    parser.add_argument('--case', help='this scenario instead of random ones')
    parser.add_argument('--weight', type=float, metavar='P',
                        help='use each group of operations with this '
                        'probability, not as often as gen.py would')
    parser.add_argument('--jobs', type=int, default=2)
    parser.add_argument('--generator', default=more.scenario,
                        type={'gen': gen.scenario, 'more': more.scenario}.get,
                        help='gen: without what more.py adds')
    parser.add_argument('--stop', type=int, default=5,
                        help='end after so many differences')
    parser.add_argument('--plain', action='store_true',
                        help='compare with POE as it is')
    parser.add_argument('--no-shrink', action='store_true')
    parser.add_argument('--keep', metavar='DIR',
                        help='put the shrunk scenarios there')
    parser.add_argument('--ours', metavar='COMMAND', type=shlex.split,
                        default=OURS, help='instead of our interpreter')
    return parser.parse_args()


def has_poe():
    done = subprocess.run(
        ['perl', '-MPOE', '-MJSON::PP', '-e', 'POE::Kernel->run'],
        stderr=subprocess.DEVNULL)
    return done.returncode == 0


def main():
    options = arguments()
    if options.weight is not None:
        gen.WEIGHT.update(dict.fromkeys(gen.WEIGHT, options.weight))
    if not has_poe():
        print('skip: libpoe-perl is not installed\n0 passed, 0 failed')
        return
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(options.ours, not options.plain, folder)
        found = one(bench, options) if options.case else search(bench, options)
    sys.exit(1 if found else 0)


if __name__ == '__main__':
    main()
