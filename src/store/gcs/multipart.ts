/** As the library makes them. */
export interface Part {
  readonly "Content-Type"?: string;
  /** Text, or a stream of bytes. */
  readonly body: unknown;
}

/** multipart/related (RFC 2387): the resource, then the content. */
export async function multipart(parts: readonly Part[], headers: Headers): Promise<Uint8Array<ArrayBuffer>> {
  const boundary = crypto.randomUUID();
  const pieces: Uint8Array[] = [];
  for (const part of parts) {
    pieces.push(Buffer.from(`--${boundary}\r\nContent-Type: ${part["Content-Type"]}\r\n\r\n`));
    if (typeof part.body === "string") pieces.push(Buffer.from(part.body));
    // Else the library's stream of the content.
    else for await (const chunk of part.body as AsyncIterable<Uint8Array>) pieces.push(chunk);
    pieces.push(Buffer.from("\r\n"));
  }
  headers.set("Content-Type", `multipart/related; boundary=${boundary}`);
  return Buffer.concat([...pieces, Buffer.from(`--${boundary}--`)]);
}
