import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createSecureContext, type SecureContext } from "node:tls";
import { DewyError, messageOf } from "../errors.ts";

/** A file of the only authorities that a collector is trusted by, and the variable that names it. */
export interface CertificateFile {
  readonly variable: string;
  readonly path: string;
}

/**
 * Answers a context that trusts them, as the file is at the moment: a renewed authority needs no restart, and while the
 * file is being replaced the last whole one counts. `config-invalid` when it is of no use from the start.
 */
export function trustingOnly(file: CertificateFile): () => SecureContext {
  let ca = authoritiesIn(file);
  return () => {
    try {
      ca = authoritiesIn(file);
    } catch {
      // Whoever is not trusted by what there was is told so by the failed handshake.
    }
    return createSecureContext({ ca: [...ca] });
  };
}

function authoritiesIn({ variable, path }: CertificateFile): readonly string[] {
  const refused = (why: string) =>
    new DewyError("config-invalid", `${variable}: ${path} ${why}`, {
      hint: "name a PEM file with the certificate of the authority that signed the collector's",
    });
  const pem = contentOf(path, refused);
  const found = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (found.length === 0) throw refused("holds no certificate");
  if (!found.every(isWhole)) throw refused("holds a damaged certificate");
  return found;
}

function contentOf(path: string, refused: (why: string) => DewyError): string {
  try {
    return readFileSync(path, "latin1");
  } catch (error) {
    throw refused(`can't be read (${messageOf(error)})`);
  }
}

function isWhole(pem: string): boolean {
  try {
    new X509Certificate(pem);
    return true;
  } catch {
    return false;
  }
}
