// Server-sent events out of a stream of bytes (HTML Living Standard, 9.2.6).
// EventSource would do it, but cannot bring a key.

/** Yields `{id, event, data}` of each event, and `{retry}` where the server sets a pause in milliseconds. */
export async function* readEvents(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let pending = { id: null, event: "message", data: [] };
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) {
        if (line === "") {
          if (pending.data.length) yield { ...pending, data: pending.data.join("\n") };
          pending = { id: null, event: "message", data: [] };
        } else if (!line.startsWith(":")) {
          const [, name, text] = /^([^:]*):? ?(.*)$/.exec(line);
          if (name === "data") pending.data.push(text);
          else if (name === "retry") yield { retry: Number(text) };
          else pending[name] = text;
        }
      }
    }
  } finally {
    await reader.cancel();
  }
}
