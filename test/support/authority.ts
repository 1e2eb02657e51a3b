import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface Authority {
  /** Path of its certificate, PEM. */
  readonly ca: string;
  /** For a server; `names` as openssl writes them (`DNS:localhost,IP:127.0.0.1`), `days` negative: expired. */
  issue(names: string, days: number): Issued;
  /** For anything; `extensions` as lines of openssl's x509v3_config(5). */
  sign(extensions: string, days: number): Issued;
}

/** Both PEM. */
export interface Issued {
  readonly cert: string;
  readonly key: string;
}

/** A private certificate authority, made by openssl. */
export function makeAuthority(directory: string): Authority {
  mkdirSync(directory, { recursive: true });
  const ca = join(directory, "ca.pem");
  const caKey = join(directory, "ca-key.pem");
  openssl(
    "req",
    "-x509",
    ...newKey,
    "-keyout",
    caKey,
    "-out",
    ca,
    "-days",
    "2",
    "-subj",
    "/CN=private authority",
  );
  let issued = 0;
  const sign = (extensions: string, days: number): Issued => {
    const base = join(directory, `issued-${issued++}`);
    const [key, request, cert, extensionFile] = [`${base}.key`, `${base}.csr`, `${base}.pem`, `${base}.ext`];
    writeFileSync(extensionFile, `${extensions}\n`);
    openssl("req", ...newKey, "-keyout", key, "-out", request, "-subj", "/CN=issued");
    const signing = ["-CA", ca, "-CAkey", caKey, "-CAcreateserial", "-extfile", extensionFile];
    openssl("x509", "-req", "-in", request, "-out", cert, "-days", String(days), ...signing);
    return { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") };
  };
  return { ca, sign, issue: (names, days) => sign(`subjectAltName=${names}`, days) };
}

const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

function openssl(...args: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(["openssl", ...args]);
  if (exitCode !== 0) throw new Error(`openssl ${args[0]}: ${stderr}`);
}
