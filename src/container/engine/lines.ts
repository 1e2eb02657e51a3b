const newline = 10;

/**
 * JSON documents, one a line, as the engines stream progress and events. A line that is no JSON, or longer than
 * `maxBytes`, is passed over: one strange event must not end a watch. What is held is bounded by `maxBytes`.
 */
export async function* jsonLines(
  chunks: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<unknown> {
  let held: Uint8Array[] = [];
  let size = 0;
  const hold = (part: Uint8Array) => {
    size += part.length;
    if (size > maxBytes) held = [];
    else held.push(part);
  };
  const take = (): unknown => {
    const value = size > maxBytes ? undefined : parsed(Buffer.concat(held).toString("utf8"));
    held = [];
    size = 0;
    return value;
  };
  for await (const chunk of chunks) {
    let from = 0;
    for (let at = chunk.indexOf(newline); at >= 0; at = chunk.indexOf(newline, from)) {
      hold(chunk.subarray(from, at));
      from = at + 1;
      const value = take();
      if (value !== undefined) yield value;
    }
    hold(chunk.subarray(from));
  }
  const last = take();
  if (last !== undefined) yield last;
}

function parsed(line: string): unknown {
  try {
    return line.trim() === "" ? undefined : JSON.parse(line);
  } catch {
    return undefined;
  }
}
