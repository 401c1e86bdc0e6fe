// What scripts/javascript_sdk.py runs: the JavaScript SDK against `routed serve`.
import OpenAI from "openai";

const client = new OpenAI({ maxRetries: 0 });
const messages = [{ role: "user", content: "What is a tide?" }];
const tool = {
  type: "function",
  function: {
    name: "tide",
    description: "Tell the tide at a place.",
    parameters: { type: "object", properties: { place: { type: "string" } }, required: ["place"] },
  },
};
const schema = {
  type: "object",
  properties: { name: { type: "string" }, depth: { type: "integer" } },
  required: ["name", "depth"],
  additionalProperties: false,
};
const format = { type: "json_schema", json_schema: { name: "sea", strict: true, schema } };

function check(condition, what) {
  if (!condition) throw new Error(what);
}

const cases = {
  async plain() {
    const found = await client.chat.completions.create({ model: "gpt-4o", messages });
    check(found.choices[0].message.content && found.routing.cost, "text and cost");
  },
  async streamed() {
    let text = "";
    let last;
    for await (const chunk of await client.chat.completions.create({ model: "gpt-4o", messages, stream: true })) {
      text += chunk.choices[0].delta.content ?? "";
      last = chunk;
    }
    check(text && last.routing.cost, "text and cost");
  },
  async tools() {
    const found = await client.chat.completions.create({
      model: "gpt-4o", messages, tools: [tool], tool_choice: "required",
    });
    const call = found.choices[0].message.tool_calls[0];
    check(call.function.name === "tide", "a call");
    const next = await client.chat.completions.create({
      model: "gpt-4o",
      messages: [...messages, found.choices[0].message, { role: "tool", tool_call_id: call.id, content: "high" }],
      tools: [tool],
    });
    check(next.choices[0], "an answer to the result");
  },
  async "tools streamed"() {
    const runner = client.chat.completions.stream({ model: "gpt-4o", messages, tools: [tool], tool_choice: "required" });
    const final = await runner.finalChatCompletion();
    check(final.choices[0].message.tool_calls[0].function.name === "tide", "a call");
  },
  async structured() {
    const found = await client.chat.completions.create({ model: "gpt-4o", messages, response_format: format });
    check(Number.isInteger(JSON.parse(found.choices[0].message.content).depth), "the form");
  },
  async "Responses, plain"() {
    const found = await client.responses.create({ model: "gpt-4o", input: "Hi" });
    check(found.output_text && found.routing.cost, "text and cost");
    const next = await client.responses.create({ model: "gpt-4o", input: "And?", previous_response_id: found.id });
    check(next.output_text, "a second turn");
  },
  async "Responses, streamed"() {
    const stream = client.responses.stream({ model: "gpt-4o", input: "Hi" });
    const final = await stream.finalResponse();
    check(final.output_text, "text");
  },
  async "Responses, tools and form"() {
    const found = await client.responses.create({
      model: "gpt-4o", input: "Hi", tool_choice: "required",
      tools: [{ type: "function", strict: false, ...tool.function }],
    });
    check(found.output.some((item) => item.type === "function_call"), "a call");
    const formed = await client.responses.create({
      model: "gpt-4o", input: "Hi", text: { format: { type: "json_schema", name: "sea", strict: true, schema } },
    });
    check(Number.isInteger(JSON.parse(formed.output_text).depth), "the form");
  },
  async models() {
    const found = await client.models.list();
    check(found.data.length > 0, "models");
  },
  async refusals() {
    for (const [given, kind] of [
      [{ routing: { budget: { per_call: "0.0000001" } } }, OpenAI.RateLimitError],
      [{ messages: [] }, OpenAI.BadRequestError],
      [{ model: "gpt-9" }, OpenAI.NotFoundError],
    ]) {
      const error = await client.chat.completions.create({ model: "gpt-4o", messages, ...given }).catch((e) => e);
      check(error instanceof kind, `${kind.name}, not ${error}`);
    }
  },
};

let failed = 0;
for (const [name, run] of Object.entries(cases)) {
  try {
    await run();
    console.log(`ok      ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`failed  ${name}: ${error}`);
  }
}
console.log(`${Object.keys(cases).length - failed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
