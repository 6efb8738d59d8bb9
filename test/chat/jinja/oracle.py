"""Writes oracle.json: what Python's jinja2, set up as transformers sets it up, makes of small templates that use what chat templates use.

    pip install jinja2==3.1.6 && python3 test/chat/jinja/oracle.py
"""
import datetime
import json
import os
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.ext import Extension, loopcontrols
import jinja2, jinja2.ext
from jinja2 import nodes
class Gen(Extension):
    tags={"generation"}
    def parse(self,parser):
        lineno=next(parser.stream).lineno
        body=parser.parse_statements(["name:endgeneration"],drop_needle=True)
        return nodes.CallBlock(self.call_method("_g"),[],[],body).set_lineno(lineno)
    def _g(self,caller): return caller()
def env():
    e=ImmutableSandboxedEnvironment(trim_blocks=True,lstrip_blocks=True,extensions=[Gen,jinja2.ext.loopcontrols])
    def tojson(x,ensure_ascii=False,indent=None,separators=None,sort_keys=False):
        return json.dumps(x,ensure_ascii=ensure_ascii,indent=indent,separators=separators,sort_keys=sort_keys)
    def raise_exception(m): raise jinja2.exceptions.TemplateError(m)
    e.filters['tojson']=tojson
    e.globals['raise_exception']=raise_exception
    now=datetime.datetime(2026,11,29,1,2,3)
    e.globals['strftime_now']=lambda f: now.strftime(f)
    return e

U={'role':'user','content':'  Hello "there"\n<b> é 中 '}
A={'role':'assistant','content':'Hi'}
S={'role':'system','content':'Be brief'}
V={'messages':[S,U,A,U],'bos_token':'<s>','eos_token':'</s>','add_generation_prompt':True,'tools':[{'type':'function','function':{'name':'f','description':"it's",'parameters':{'type':'object','properties':{'a':{'type':'string','enum':['x','y']},'b':{'type':'number','default':1.5}},'required':['a']}}}],
'nums':[3,1,2,2],'d':{'b':2,'a':1,'c':None},'t':True,'s':'a-b-c-d','words':' one  two three ','nested':[[1,2],[3,[4,'x"y']]],'empty':[], 'none':None}
T='''{% for m in messages %}{{ m.role }}: {{ m['content'] | trim }}{{ eos_token }}
{% endfor %}
  {% if add_generation_prompt %}
    x
  {%- else -%}
    y
  {% endif %}z
@@{{ s.split('-') }} {{ s.split('-')[-1] }} {{ s.rsplit('-',1) }} {{ s.split('-',2) }} {{ words.split() }} {{ words.split(None,1) }}
@@{{ nums | sort }} {{ nums | unique | list }} {{ nums|sum }} {{ nums|max }} {{ nums|min }} {{ nums[::-1] }} {{ nums[1:3] }} {{ nums[-2:] }} {{ s[2:] }} {{ s[::-1] }} {{ s[:-2] }}
@@{{ tools | tojson }}
@@{{ tools | tojson(indent=2) }}
@@{{ d | tojson }} {{ d | dictsort | map('first') | list }} {{ d.items() | map('last') | list }} {{ d | items | map('first') | list }} {{ d.get('z') }} {{ d.get('z', 5) }} {{ d['a'] }} {{ 'a' in d }} {{ d }}
@@{{ nested }} {{ nested | tojson }} {{ [1,'a',none,true,1.5] }}
@@{% set ns = namespace(x=0, y='') %}{% for i in nums %}{% set ns.x = ns.x + i %}{% set ns.y = ns.y ~ loop.index ~ loop.first ~ loop.last ~ loop.length ~ ',' %}{% endfor %}{{ ns.x }} {{ ns.y }}
@@{% macro f(a, b=2, c='x') %}[{{ a }}|{{ b }}|{{ c }}]{% endmacro %}{{ f(1) }}{{ f(1, c=3) }}{{ f(1, 2, 3) }}
@@{% raw %}{{ not }} {% x %}{% endraw %} {{- ' a' }} {{ 'b' -}} 
 c
@@{%+ if t %}plus{% endif +%}
 after
@@  {%- if t %} lead{% endif %}
@@{# comment #}
x{#- c -#}  y
@@{{ 'x' if t else 'y' }} {{ 'x' if not t }} {{ none }} {{ undefinedvar }} {{ undefinedvar is defined }} {{ (undefinedvar or 'dflt') }} {{ undefinedvar | default('q') }} {{ none | default('q') }} {{ '' | default('q', true) }}
@@{{ 7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 2 ** 3 }} {{ 7 - 2 * 3 }} {{ '%s is %d and %.2f' % ('a', 3, 1.5) }} {{ '%s' | format('q') }} {{ '{} {name} {0}'.format(1, name='n') if false else '' }} {{ "a" "b" }} {{ 'a' ~ 1 ~ none }}
@@{{ s | replace('-', '+') }} {{ s.replace('-', '+', 1) }} {{ s | upper }} {{ 'hello WORLD foo' | title }} {{ 'hELLO' | capitalize }} {{ s | length }} {{ nums | length }} {{ s.startswith('a') }} {{ s.endswith(('x','d')) }} {{ s.find('b') }} {{ s.strip('ad') }} {{ 'xx'.join(['1','2']) }} {{ nums | join(', ') }} {{ nums | first }} {{ nums | last }}
@@{{ messages | selectattr('role', 'equalto', 'user') | list | length }} {{ messages | map(attribute='role') | join(',') }} {{ messages | rejectattr('role', 'in', ['user']) | map(attribute='content') | list }} {{ nums | select('odd') | list }} {{ nums | map('string') | list }} {{ ['1','2'] | map('int') | list }}
@@{% for k, v in d.items() %}{{ k }}={{ v }};{% else %}none{% endfor %}{% for x in empty %}{% else %}EMPTY{% endfor %}{% for x in nums if x > 1 %}{{ x }}{{ loop.index0 }}{% endfor %}
@@{% for i in range(5) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %} {{ range(2, 10, 3) | list }} {{ range(5, 0, -2) | list }}
@@{{ s is string }} {{ nums is iterable }} {{ nums is sequence }} {{ d is mapping }} {{ d is sequence }} {{ s is iterable }} {{ 1 is number }} {{ none is none }} {{ t is true }} {{ t is boolean }} {{ 3 is odd }} {{ 4 is divisibleby 2 }} {{ s is not none }} {{ 1 is integer }} {{ 1.5 is float }} {{ t is number }} {{ 'b' in s }} {{ 9 not in nums }} {{ 1 < 2 < 3 }} {{ not t }} {{ t and not none }}
@@{% set x %}block {{ s }}{% endset %}{{ x }} {% set a, b = 1, 2 %}{{ a }}{{ b }} {% filter upper %}abc{% endfilter %} {% set y | trim %}  pad  {% endset %}[{{ y }}]
@@{{ 'line1\\nline2\\n\\nline4' | indent(2) }}|{{ 'a\\nb' | indent(2, true) }} {{ '<a href="x">' | e }} {{ 'x' * 3 }} {{ [1] * 2 }} {{ [1] + [2] }} {{ (1, 2) | list }}
@@{% call f2() %}inner{% endcall %}'''
T=T.replace("@@{% call","{% macro f2() %}<{{ caller() }}>{% endmacro %}@@{% call")
cases=[]
for part in T.split('@@'):
    pre='' if 'f2' not in part else ''
    cases.append({'template':part,'values':V})
cases.append({'template':T.replace('@@',''),'values':V})
for e in ["{{ 1/2 }}","{{ 'x' + 1 }}","{{ foo.bar }}","{{ messages[0].nope }}","{{ messages[9] }}","{{ messages[9].x }}","{{ raise_exception('no') }}","{{ foo() }}","{{ nums.foo }}","{{ 'a' < 1 }}","{{ none | length }}","{{ undefinedvar | length }}","{{ messages | groupby('role') | map('first') | list }}","{{ strftime_now('%d %B %Y %H:%M') }}","{{ nums | batch(2) | list }}","{{ 'a\\u00e9b\\x41' }}","{{ loop }}","{% for i in [1,2] %}{% set q = i %}{% endfor %}{{ q }}","{% if 1 %}{% set q = 5 %}{% endif %}{{ q }}","a\n","a\n\n","  {% if true %}\n  x\n  {% endif %}\n  y","{{ 'a' 'b' ~ 'c' }}", "{{ not none and true }}","{{ 5 if 0 else 6 if 1 else 7 }}","{{ -1 ** 2 }}","{{ 1 + -1 }}","{{ {'a': {'b': 1}}['a']['b'] }}","{{ {'a': {'b': 1}} }}","{{ [{}] }}","{{ 'x' is in ['x'] }}","{{ 'abc'[1] }} {{ 'abc'[-1] }} {{ nums[0] }}","{%- for m in messages -%}\n  {{- m.role -}}\n{%- endfor -%}\n end","{% generation %}x{% endgeneration %}","{% with a = 1 %}{{ a }}{% endwith %}{{ a }}","{{ s.upper().lower().title() }}","{{ messages|length - 1 }}","{{ messages[messages|length - 1]['role'] }}","{{ loop.index }}","{{ nums|sort(reverse=true) }}","{{ ['b','A','c']|sort }}","{{ [['b',2],['a',1]]|sort(attribute=0) }}", "{{ messages|map(attribute='zz', default='-')|list }}","{{ 'a,b' | replace(',', ', ') | trim | upper }}","{{ 'tst'.isdigit() }} {{ '12'.isdigit() }}","{{ none == none }} {{ 1 == 1.0 }} {{ 'a' == 1 }} {{ [1,2] == [1,2] }} {{ d == d }}","{% for a in [1,2,3] %}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.cycle('o','e') }}{{ loop.revindex }}{% endfor %}","{{ 'x'.removeprefix('x') }}{{ 'ab'.lstrip('a') }}{{ 'aXb'.partition('X') if false else '' }}","{{ 'a\\'b' }} {{ \"q\\\"q\" }} {{ [\"a'b\"] }} {{ ['a\"b'] }} {{ ['a\\\\nb'] }}", "{{ ''.join(['a']) }}{{ s|list }}{{ d|list }}","{{ d|length }} {{ d.keys()|list }} {{ d.values()|list }}","{{ true|string }}{{ 1|string + 'a' }}","{{ s | truncate(3) }} {{ 'aaaaaaaaaaaaaaaaaaaa bbbbb' | truncate(9) }}","{% set z = d.copy() %}{{ z }}","{{ \"%05d|%-5s|%5s\" % (42, 'a', 'b') }}","{{ '{:>5}|{:.2f}|{:,}'.format('a', 1.239, 1234567) }}","{{- bos_token }}{% if messages[0]['role'] == 'system' %}{% set system_message = messages[0]['content'] %}{% set loop_messages = messages[1:] %}{% else %}{% set loop_messages = messages %}{% endif %}{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('alternate') }}{% endif %}{{ '[INST] ' + message['content'] + ' [/INST]' if message['role']=='user' else message['content'] + eos_token }}{% endfor %}"]:
    cases.append({'template':e,'values':V})


def run(case):
    try:
        return {**case, 'text': env().from_string(case['template']).render(**V)}
    except Exception as error:
        return {**case, 'error': type(error).__name__}


results = [run({'template': case['template']}) for case in cases]
with open(os.path.join(os.path.dirname(__file__), 'oracle.json'), 'w') as file:
    json.dump({'jinja2': jinja2.__version__, 'values': V, 'cases': results}, file, ensure_ascii=False, indent=1)
