/**
 * The value of X-Dewy-Signature, `t=<unix seconds>,v1=<hex>`: HMAC-SHA256 over `<t>.<body>`, both as they are sent. A
 * receiver computes the same with the shared key, compares in constant time, and refuses a `t` that is minutes old, so
 * that nobody can send again what he overheard.
 */
export function signatureOf(body: string, key: string, now: Date): string {
  const seconds = Math.floor(now.getTime() / 1000);
  const digest = new Bun.CryptoHasher("sha256", key).update(`${seconds}.${body}`).digest("hex");
  return `t=${seconds},v1=${digest}`;
}
