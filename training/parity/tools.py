"""Writes test/fixtures/tools/rendered.json: what transformers' own set-up of Jinja makes of conversations with tools, for the templates in
test/fixtures/tools/templates, which follow the families' published formats in templates of our own.

    python3 training/parity/tools.py

Published templates are not committed. To compare with them, too, name a folder of them (as in the sources of llama.cpp, models/templates) and a file:

    python3 training/parity/tools.py --templates FOLDER --out FILE
    OCTAVO_TEMPLATES=FILE node tools/test.mjs test/chat/dialects/render.test.ts
"""
import argparse
import json
from pathlib import Path

import transformers
from transformers.utils.chat_template_utils import _compile_jinja_template

HERE = Path(__file__).resolve().parents[2] / "test" / "fixtures" / "tools"

TOOLS = [
    {
        "name": "get_weather",
        "description": "The weather of a city, \"now\" or later.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "Its name <in English>"},
                "days": {"type": "integer", "minimum": 0},
            },
            "required": ["city"],
        },
    },
    {"name": "now", "description": "The time", "inputSchema": {"type": "object", "properties": {}}},
]

QUESTION = {"role": "user", "content": "How is Paris? <|im_end|>"}
SYSTEM = {"role": "system", "content": "Be brief."}


def call(number, name, **arguments):
    return {"id": f"call0000{number}", "name": name, "arguments": arguments}


def result(number, name, content):
    return {"role": "tool", "toolCallId": f"call0000{number}", "name": name, "content": content}


ONE = [
    QUESTION,
    {"role": "assistant", "content": "", "toolCalls": [call(0, "get_weather", city="Par\"is\nÉ", days=2)]},
    result(0, "get_weather", "17 <|im_start|>degrees"),
]
TWO = [
    QUESTION,
    {"role": "assistant", "content": "", "toolCalls": [call(0, "get_weather", city="Paris"), call(1, "now")]},
    result(0, "get_weather", "17"),
    result(1, "now", "12:00"),
]
THOUGHT = [
    QUESTION,
    {"role": "assistant", "content": "", "thinking": "Look it up.", "toolCalls": [call(0, "now")]},
    result(0, "now", "12:00"),
]

# name: messages, tools, variables
CONVERSATIONS = {
    "question": ([QUESTION], TOOLS, {}),
    "system and question": ([SYSTEM, QUESTION], TOOLS, {}),
    "no tools": ([SYSTEM, QUESTION], [], {}),
    "a call and its result": (ONE, TOOLS, {}),
    "text beside a call": ([SYSTEM, QUESTION, {**ONE[1], "content": "Let me see."}, ONE[2]], TOOLS, {}),
    "two calls": (TWO, TOOLS, {}),
    "the next question": ([*ONE, {"role": "assistant", "content": "17 degrees."}, {"role": "user", "content": "And Rome?"}], TOOLS, {}),
    "thoughts while tools are called": (THOUGHT, TOOLS, {}),
    "thoughts of an earlier answer": (
        [*THOUGHT, {"role": "assistant", "content": "Noon.", "thinking": "So noon."}, QUESTION], TOOLS, {}),
    "without thoughts": ([QUESTION], TOOLS, {"enable_thinking": False, "thinking": False}),
}


def upstream(message):
    """A message as transformers takes it."""
    out = {"role": message["role"], "content": message["content"]}
    if "thinking" in message:
        out["reasoning_content"] = out["thinking"] = message["thinking"]
    if "toolCalls" in message:
        out["tool_calls"] = [
            {"id": c["id"], "type": "function", "function": {"name": c["name"], "arguments": c["arguments"]}}
            for c in message["toolCalls"]
        ]
    if message["role"] == "tool":
        out["name"] = message["name"]
        out["tool_call_id"] = message["toolCallId"]
    return out


def declared(tool):
    return {
        "type": "function",
        "function": {"name": tool["name"], "description": tool["description"], "parameters": tool["inputSchema"]},
    }


def rendered(template, messages, tools, variables):
    given = [declared(tool) for tool in tools] or None
    # SmolLM3 has a variable of its own.
    own = {"xml_tools": given} if "xml_tools" in template and given else {"tools": given}
    try:
        return _compile_jinja_template(template).render(
            messages=[upstream(m) for m in messages], add_generation_prompt=True, bos_token="<s>", eos_token="</s>",
            date_string="26 Jul 2024", **own, **variables)
    except Exception:  # the template refuses the conversation
        return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--templates", type=Path, default=HERE / "templates")
    parser.add_argument("--out", type=Path, default=HERE / "rendered.json")
    options = parser.parse_args()
    conversations = {
        name: {"messages": m, "tools": t, "variables": {**v, "date_string": "26 Jul 2024"}} for name, (m, t, v) in CONVERSATIONS.items()
    }
    own = options.templates == HERE / "templates"
    templates = {}
    for path in sorted(options.templates.glob("*.jinja")):
        source = path.read_text()
        templates[path.stem] = {
            **({} if own else {"template": source}),
            "rendered": {name: rendered(source, m, t, v) for name, (m, t, v) in CONVERSATIONS.items()},
        }
    facts = {"transformers": transformers.__version__, "conversations": conversations, "templates": templates}
    options.out.write_text(json.dumps(facts, ensure_ascii=False, indent=1) + "\n")


main()
