#!/usr/bin/env python3
"""Random scenarios for the differential oracle (format: README.md).

  gen.py --seed N                 print one scenario
  gen.py --build DIR --count 200  keep COUNT scenarios whose trace on real POE
                                  does not depend on timing; writes
                                  DIR/cNNNN.json and DIR/cNNNN.trace
  gen.py --verify DIR             run every case again, compare with .trace
"""
import argparse, collections, concurrent.futures as cf, json, os, random, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
RUN = os.path.join(HERE, 'run_poe.pl')
GROUPS = ['timers', 'alias', 'signals', 'refs', 'detach', 'state', 'die', 'io',
          'postback', 'past', 'sysops', 'kstop', 'nocatch', 'runs2']
WEIGHT = dict(timers=.7, alias=.5, signals=.55, refs=.25, detach=.3, state=.3, die=.4, io=.25,
              postback=.22, past=.12, sysops=.4, kstop=.1, nocatch=.08, runs2=.06)
EVENTS = ['e1', 'e2', 'e3', 'e4', 'e5']
SIGS = ['FOO', 'BAR', 'USR1', 'TERM', 'INT', 'HUP', 'CHLD', 'IDLE', 'ZOMBIE', 'UIDESTROY']
SIGW = [4, 2, 1, 4, 2, 2, 1, 2, 2, 1]


class Gen:
    def __init__(self, seed):
        self.seed, self.r = seed, random.Random(seed)
        r = self.r
        self.on = {g for g in GROUPS if r.random() < WEIGHT[g]}
        self.names = ['s%d' % i for i in range(1, r.randint(2, 7) + 1)]
        self.aliases = ['a%d' % i for i in range(1, r.randint(1, 3) + 1)]
        self.tn = self.bn = self.xn = 0
        self.timers = {n: [] for n in self.names}
        self.slots = []
        self.ats = [20 * r.randint(1, 25) for _ in range(3)]
        self.later = []
        self.pipes = ['p%d' % i for i in range(1, r.randint(1, 2) + 1)] if 'io' in self.on else []
        self.free_pipes = list(self.pipes)

    def args(self):
        r = self.r
        n = r.choice([0, 0, 0, 1, 1, 2, 3])
        return [r.choice([r.randint(0, 99), -r.randint(1, 9), 'x', 'hello', 'a b', None, [1, 'y'], []]) for _ in range(n)]

    def a(self, d):
        x = self.args()
        if x:
            d['args'] = x
        return d

    def target(self, me, start=False):
        r = self.r
        c = ['name'] * 6 + ['self'] * 2
        if 'alias' in self.on:
            c += ['alias'] * 3
        if not start:
            c += ['sender']
        c += ['K'] if r.random() < .15 else []
        k = r.choice(c)
        return {'name': r.choice(self.names), 'alias': 'alias:' + r.choice(self.aliases), 'K': 'K'}.get(k, k)

    def ev(self):
        return self.r.choice(EVENTS + (['nope'] if self.r.random() < .3 else []))

    def ms(self):
        return 20 * self.r.randint(1, 20)

    def op(self, me, where):
        """one random operation (or a short list of them)"""
        r = self.r
        start = where == '_start'
        c = [('post', 8), ('yield', 6), ('call', 6), ('log', 1), ('exists', 1)]
        if 'timers' in self.on:
            c += [('delay', 4), ('delay_add', 2), ('alarm', 2), ('alarm_add', 1), ('delay_set', 3), ('alarm_set', 1), ('cancel', 1),
                  ('alarm_remove', 2), ('alarm_adjust', 2), ('delay_adjust', 1), ('alarm_remove_all', .5)]
        if 'past' in self.on:
            c += [('past', 2)]
        if 'alias' in self.on:
            c += [('alias_set', 4), ('alias_remove', 3), ('alias_resolve', 1), ('alias_list', .5)]
        if 'signals' in self.on:
            c += [('sig', 5), ('sigpair', 4), ('signal', 2), ('unsig', 1), ('sig_handled', 1), ('idle', 2)]
        if 'refs' in self.on:
            c += [('ref', 3)]
        if 'detach' in self.on:
            c += [('detach_myself', 2), ('detach_child', 2)]
        if 'state' in self.on:
            c += [('state', 3)]
        if 'die' in self.on:
            c += [('die', 3 if where not in ('_stop', '_start') else .4), ('trycall', 3), ('sigdie', 3)]
        if 'postback' in self.on:
            c += [('postback', 2), ('fire', 2)]
        if self.pipes:
            c += [('watch', 3), ('pwrite', 3), ('wwatch', 1), ('pause', 1)]
        if 'kstop' in self.on:
            c += [('kstop', .6 if where in EVENTS else 0)]
        if where == '_stop':
            c += [('call', 12)]
        k = r.choices([x for x, _ in c], [w for _, w in c])[0]
        t = lambda: self.target(me, start)
        if k in ('post', 'call', 'trycall'):
            return self.a({'op': k, 'to': t(), 'ev': self.ev()})
        if k == 'yield':
            return self.a({'op': 'yield', 'ev': self.ev()})
        if k == 'log':
            return {'op': 'log', 'msg': 'm%d' % r.randint(1, 99)}
        if k == 'exists':
            return {'op': 'exists', 'to': r.choice(self.names)}
        if k in ('delay', 'delay_add', 'alarm', 'alarm_add'):
            if k[0] == 'a' and r.random() < .4:
                return self.a({'op': k, 'ev': self.ev(), 'at': r.choice(self.ats)})
            return self.a({'op': k, 'ev': self.ev(), 'ms': self.ms()})
        if k == 'sigpair':
            sg = r.choices(SIGS, SIGW)[0]
            return [self.a({'op': 'sig', 'sig': sg, 'ev': 'sg'}), self.a({'op': 'signal', 'to': r.choice(['self', 'self', r.choice(self.names), 'K']), 'sig': sg})]
        if k == 'idle':
            self.xn += 1
            e = 'j%d' % self.xn
            h = {'op': 'sig_handled'}
            self.extra[e] = [x for x in ([[h, {'op': 'yield', 'ev': self.ev()}]], [[h]], [[self.one(me, e)]], [[]])[r.randint(0, 3)]] + ([[h]] if r.random() < .4 else [])
            l = [{'op': 'sig', 'sig': x, 'ev': e} for x in (['IDLE', 'ZOMBIE'] if r.random() < .6 else ['IDLE'])]
            return l + ([{'op': 'alias_set', 'alias': 'z%d' % self.xn}] if r.random() < .8 else [])
        if k in ('delay_set', 'alarm_set'):
            self.tn += 1
            i = 't%d' % self.tn
            self.timers[me].append(i)
            return self.a({'op': k, 'ev': self.ev(), 'ms': self.ms(), 'id': i})
        if k == 'past':
            return self.a({'op': r.choice(['alarm', 'delay', 'alarm_add']), 'ev': self.ev(), 'ms': -20 * r.randint(1, 30)})
        if k == 'cancel':
            return {'op': r.choice(['delay', 'alarm']), 'ev': r.choice(EVENTS)}
        if k in ('alarm_remove', 'alarm_adjust', 'delay_adjust'):
            pool = self.timers[me] if self.timers[me] and r.random() < .8 else sum(self.timers.values(), []) or ['t0']
            d = {'op': k, 'id': r.choice(pool)}
            if k == 'alarm_adjust':
                d['ms'] = 20 * r.choice([-3, -2, -1, 1, 2, 3, 5])
            if k == 'delay_adjust':
                d['ms'] = self.ms()
            return d
        if k in ('alias_set', 'alias_remove', 'alias_resolve'):
            return {'op': k, 'alias': r.choice(self.aliases)}
        if k in ('alarm_remove_all', 'alias_list', 'sig_handled', 'detach_myself', 'kstop'):
            return {'op': k}
        if k == 'sig':
            return self.a({'op': 'sig', 'sig': r.choices(SIGS, SIGW)[0], 'ev': r.choice(EVENTS + ['sg', 'sg', 'sg'])})
        if k == 'unsig':
            return {'op': 'unsig', 'sig': r.choices(SIGS, SIGW)[0]}
        if k == 'signal':
            return self.a({'op': 'signal', 'to': t(), 'sig': r.choices(SIGS, SIGW)[0]})
        if k == 'sigdie':
            return self.a({'op': 'sig', 'sig': 'DIE', 'ev': 'oops'})
        if k == 'die':
            self.xn += 1
            return {'op': 'die', 'msg': 'boom%d' % self.xn}
        if k == 'detach_child':
            return {'op': k, 'to': r.choice(self.names)}
        if k == 'state':
            e = r.choice(EVENTS)
            if r.random() < .4:
                return {'op': 'state', 'ev': e}
            return {'op': 'state', 'ev': e, 'on': [self.step(me, e, 2) for _ in range(r.randint(0, 2))]}
        if k == 'ref':
            self.xn += 1
            to, tag, e = r.choice(['self', 'self', r.choice(self.names)]), 'r%d' % r.randint(1, 2), 'u%d' % self.xn
            self.extra[e] = [[{'op': 'ref_dec', 'to': to, 'tag': tag}]]
            return [{'op': 'ref_inc', 'to': to, 'tag': tag}, {'op': 'delay_add', 'ev': e, 'ms': self.ms()}]
        if k == 'postback':
            self.bn += 1
            b, e = 'b%d' % self.bn, 'v%d' % self.bn
            self.slots.append(b)
            st = [[{'op': 'fire', 'slot': b, 'args': [self.bn]}, {'op': 'drop', 'slot': b}] if r.random() < .6 else [{'op': 'drop', 'slot': b}]]
            if r.random() < .5:   # held and dropped by somebody else
                self.later.append((r.choice(self.names), e, st))
                return self.a({'op': r.choice(['postback', 'postback', 'callback']), 'slot': b, 'ev': self.ev()})
            self.extra[e] = st
            return [self.a({'op': r.choice(['postback', 'postback', 'callback']), 'slot': b, 'ev': self.ev()}), {'op': 'delay_add', 'ev': e, 'ms': self.ms()}]
        if k == 'fire':
            return self.a({'op': 'fire', 'slot': r.choice(self.slots or ['b1'])})
        if k == 'watch':
            if not self.free_pipes:
                return {'op': 'log', 'msg': 'nopipe'}
            p = self.free_pipes.pop()
            e = 'i' + p[1:]
            n = r.randint(1, 3)
            steps = [[{'op': 'pread', 'p': p, 'n': r.randint(1, 2)}] + ([self.one(me, e)] if r.random() < .5 else []) for _ in range(n)]
            steps.append([{'op': 'pread', 'p': p, 'n': 9}, {'op': 'select_read', 'p': p}])
            self.extra[e] = steps
            off = 'w%s' % p[1:]
            self.extra[off] = [[{'op': 'select_read', 'p': p}]]
            l = [self.a({'op': 'select_read', 'p': p, 'ev': e})]
            if r.random() < .15:
                l.append({'op': 'select_read', 'p': p, 'ev': r.choice(EVENTS)})
            if r.random() < .7:
                l.append({'op': 'pwrite', 'p': p, 'n': r.randint(1, 4)})
            if r.random() < .5:
                l.append({'op': 'delay_add', 'ev': off, 'ms': self.ms() + 200})
            return l
        if k == 'wwatch':
            p = r.choice(self.pipes)
            e = 'o' + p[1:]
            if e in self.wdone:
                return {'op': 'log', 'msg': 'nowpipe'}
            self.wdone.add(e)
            self.extra[e] = [[] for _ in range(r.randint(0, 2))] + [[self.one(me, e), {'op': 'select_write', 'p': p}]]
            return {'op': 'select_write', 'p': p, 'ev': e}
        if k == 'pwrite':
            return {'op': 'pwrite', 'p': r.choice(self.pipes), 'n': r.randint(1, 3)}
        if k == 'pause':
            return {'op': r.choice(['pause_read', 'resume_read', 'resume_read']), 'p': r.choice(self.pipes)}
        raise AssertionError(k)

    def one(self, me, where):
        for _ in range(9):
            o = self.op(me, where)
            if isinstance(o, dict) and o['op'] not in ('kstop', 'die', 'state'):
                return o
        return {'op': 'log', 'msg': 'x'}

    def step(self, me, where, most):
        r = self.r
        ops = []
        for _ in range(r.randint(0, most)):
            o = self.op(me, where)
            ops += o if isinstance(o, list) else [o]
            if ops[-1]['op'] in ('die', 'kstop'):
                break
        if ops and ops[-1]['op'] in ('die', 'kstop'):
            return ops
        if where in ('sg', 'oops') and r.random() < .55:
            ops.append({'op': 'sig_handled'})
        if r.random() < .25:
            ops.append({'op': 'ret', 'val': r.choice([1, 'r', None, [1, 2], 0])})
        return ops

    def parent_of(self, i):
        return self.r.choice(self.names[:i])

    def build(self):
        r = self.r
        self.wdone = set()
        nroots = r.randint(1, min(3, len(self.names)))
        roots = self.names[:nroots]
        ses = {}
        extras = {}
        for n in self.names:
            self.extra = {}
            on = {'_start': [self.step(n, '_start', 5)]}
            for e in r.sample(EVENTS, r.randint(2, 5)):
                on[e] = [self.step(n, e, 4) for _ in range(r.randint(1, 3))]
            if 'signals' in self.on:
                on['sg'] = [self.step(n, 'sg', 2) for _ in range(r.randint(1, 3))]
            if 'die' in self.on:
                on['oops'] = [self.step(n, 'oops', 1) for _ in range(r.randint(1, 3))]
            for e, p in (('_stop', .92), ('_child', .9), ('_parent', .9)):
                if r.random() < p:
                    on[e] = [self.step(n, e, 2)] if 'sysops' in self.on and r.random() < .4 else []
            if r.random() < .3:
                on['_default'] = [self.step(n, '_default', 2)] if r.random() < .4 else []
            s = {'on': on}
            x = self.args()
            if x:
                s['args'] = x
            ses[n] = s
            extras[n] = self.extra
        for n, e, st in self.later:
            extras[n][e] = st
            ses[n]['on']['_start'][0].insert(0, {'op': 'delay_add', 'ev': e, 'ms': self.ms()})
        for n in self.names:
            for e, st in extras[n].items():
                ses[n]['on'][e] = st
        # hang the other sessions somewhere: mostly in a _start
        for i, n in enumerate(self.names[nroots:], nroots):
            p = self.parent_of(i)
            on = ses[p]['on']
            e = '_start' if r.random() < .6 else r.choice([k for k in on if k in EVENTS or k == 'sg'] or ['_start'])
            st = on[e][0] if on[e] else None
            if st is None:
                on[e] = [[]]
                st = on[e][0]
            st.insert(r.randint(0, max(0, len(st) - (1 if st and st[-1]['op'] in ('die', 'ret', 'kstop') else 0))), {'op': 'spawn', 'name': n})
        sc = {'format': 1, 'name': 'seed%d' % self.seed, 'seed': self.seed, 'sessions': ses}
        if 'runs2' in self.on and nroots > 1:
            sc['runs'] = [roots[:1], roots[1:]]
        else:
            sc['roots'] = roots
        if 'nocatch' in self.on:
            sc['catch'] = False
        if self.pipes:
            sc['pipes'] = self.pipes
        return sc


def scenario(seed):
    return Gen(seed).build()


def run(path, *opts):
    p = subprocess.run(['perl', RUN, '--wall=8', *opts, path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return p.stdout.decode()


def split(t):
    L = t.splitlines()
    return [x for x in L if not x.startswith('# ')], dict(x[2:].rsplit(' ', 1) for x in L if x.startswith('# '))


def tags(sc, trace, st, idtrace):
    """what the case exercises, from the trace, so that a runner can leave out what it changes on purpose"""
    t = set()
    for l in trace:
        w = l.split(' ')
        if w[0] == 'R':
            t.add(w[3])
        elif w[0] == 'D' and w[3] in ('_default', '_parent'):
            t.add(w[3])
        if w[0] == 'D' and w[4] == 'K':
            a = w[6].strip('[]').split(',')[0].strip('"')
            if a in SIGS + ['DIE']:
                t.add('got:' + a)
            if a in ('gain', 'lose') and w[1] != '0':
                t.add('lose_inside_handler')
            if a == 'gain':
                t.add('gain')
    def walk(o):
        if isinstance(o, dict):
            if 'op' in o:
                if o['op'] in ('sig', 'die', 'state', 'delay', 'alarm', 'delay_add', 'alarm_add', 'select_read', 'select_write', 'postback', 'callback', 'delay_set', 'alarm_set', 'sig_handled'):
                    t.add(o['op'])
                if o.get('ms', 0) < 0 and o['op'] not in ('alarm_adjust',):
                    t.add('wart:past_alarm')
                if 'at' in o:
                    t.add('alarm_at')
                if None in o.get('args', []):
                    t.add('nil_args')
            for v in o.values():
                walk(v)
        elif isinstance(o, list):
            for v in o:
                walk(v)
    walk(sc)
    reg = collections.Counter()
    for s in sc['sessions'].values():
        reg.update({o['p']: 1 for h in s['on'].values() for st in h for i, o in enumerate(st) if o['op'] == 'select_read' and 'ev' in o and i and st[i - 1]['op'] == 'select_read' and 'ev' in st[i - 1]})
    if reg:
        t.add('wart:reregistered_watcher')
    if any(l.startswith('X died') for l in trace):
        t.add('run_died')
    if sc.get('catch') is False:
        t.add('nocatch')
    if 'runs' in sc:
        t.add('two_runs')
    if st.get('revived_in_sweep'):
        t.add('wart:revived_in_sweep')
    if st.get('events_from_dead_dropped'):
        t.add('wart:events_from_dead_dropped')
    if st.get('events_to_dead_dropped'):
        t.add('events_to_dead_dropped')
    if idtrace != trace:
        t.add('order:attach_differs_from_id')
    depth_stop = [l for l in trace if l.startswith('D ') and l.split(' ')[3] == '_stop' and l.split(' ')[4] != 'K']
    if depth_stop:
        t.add('stop_inside_handler')
    return sorted(t)


def bad(trace, st, sc):
    if not trace or not trace[-1].startswith('X ') or trace[-1] in ('X hang', 'X limit', 'X timeout'):
        return 'no end'
    if st.get('warning'):
        return 'POE warning'
    if st.get('ended'):
        return 'POE has ended'
    if st.get('kept'):
        return 'a signal to the kernel outlives stop'
    if any(l.startswith('R ') and ' ref_dec ' in l and l.split(' ')[-1].startswith('-') for l in trace):
        return 'negative refcount'
    if any('ARRAY reference' in l or "Can't" in l or 'lingering' in l or '?' in l for l in trace):
        return 'perl error'
    return None


def try_seed(seed, tmp, lo=12, hi=160, real=2, jitters=4):
    sc = scenario(seed)
    path = os.path.join(tmp, 's%d.json' % seed)
    with open(path, 'w') as f:
        json.dump(sc, f)
    try:
        base, st = split(run(path, '--virtual', '--stats'))
        b = bad(base, st, sc)
        if b:
            return seed, None, b
        if not lo <= len(base) <= hi:
            return seed, None, 'size'
        for j in range(1, jitters + 1):
            if split(run(path, '--virtual=%d' % j))[0] != base:
                return seed, None, 'jitter'
        idt = split(run(path, '--virtual', '--order=id'))[0]
        for _ in range(real):
            if split(run(path))[0] != base:
                return seed, None, 'real clock differs'
        sc['tags'] = tags(sc, base, st, idt)
        return seed, (sc, base), 'ok'
    finally:
        os.unlink(path)


def dump(sc):
    """compact but diffable: one session handler per line"""
    def j(x):
        return json.dumps(x, separators=(',', ':'))
    L = ['{']
    for k in ('format', 'name', 'seed', 'tags', 'catch', 'pipes', 'roots', 'runs'):
        if k in sc:
            L.append(' %s:%s,' % (j(k), j(sc[k])))
    L.append(' "sessions":{')
    S = []
    for n, s in sc['sessions'].items():
        h = ',\n   '.join('%s:%s' % (j(e), j(v)) for e, v in s['on'].items())
        a = '"args":%s,' % j(s['args']) if 'args' in s else ''
        S.append('  %s:{%s"on":{\n   %s}}' % (j(n), a, h))
    L.append(',\n'.join(S))
    L.append(' }\n}\n')
    return '\n'.join(L)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument('--seed', type=int)
    ap.add_argument('--build')
    ap.add_argument('--count', type=int, default=200)
    ap.add_argument('--first', type=int, default=1)
    ap.add_argument('--jobs', type=int, default=2)
    ap.add_argument('--verify')
    o = ap.parse_args()
    if o.seed is not None:
        sys.stdout.write(dump(scenario(o.seed)))
    elif o.build:
        os.makedirs(o.build, exist_ok=True)
        why, kept, seed = collections.Counter(), [], o.first
        cov = collections.Counter()
        with cf.ThreadPoolExecutor(o.jobs) as ex:
            while len(kept) < o.count:
                batch = list(ex.map(lambda s: try_seed(s, o.build), range(seed, seed + 40)))
                seed += 40
                for s, ok, w in batch:
                    why[w] += 1
                    if not ok or len(kept) >= o.count:
                        continue
                    sc, tr = ok
                    # the first part freely, then only cases that bring a rare tag
                    if len(kept) >= o.count * .5 and min([cov[t] for t in sc['tags']] or [99]) >= 20:
                        why['nothing new'] += 1
                        continue
                    kept.append(s)
                    cov.update(sc['tags'])
                    sc['name'] = 'c%04d' % len(kept)
                    base = os.path.join(o.build, sc['name'])
                    with open(base + '.json', 'w') as f:
                        f.write(dump(sc))
                    with open(base + '.trace', 'w') as f:
                        f.write('\n'.join(tr) + '\n')
                print('seeds to %d: kept %d %s' % (seed, len(kept), dict(why)), flush=True)
        print('coverage:', dict(cov.most_common()))
    elif o.verify:
        cases = sorted(f for f in os.listdir(o.verify) if f.endswith('.json'))
        n = 0
        def one(f):
            p = os.path.join(o.verify, f)
            return f, split(run(p))[0] == open(p[:-5] + '.trace').read().splitlines()
        with cf.ThreadPoolExecutor(o.jobs) as ex:
            for f, ok in ex.map(one, cases):
                if not ok:
                    print('DIFFERS', f)
                    n += 1
        print('%d cases, %d differ' % (len(cases), n))
        sys.exit(1 if n else 0)
    else:
        ap.print_help()


if __name__ == '__main__':
    main()
