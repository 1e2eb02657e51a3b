/** Why a TCP connection did not become a gRPC connection. */
export type DialFailure =
  /** OpenSSL's or Node's code of what was wrong, `NO_H2` (the server chose no HTTP/2), `NO_ANSWER` or `closed`. */
  | { readonly kind: "tls"; readonly code: string }
  /** `status`: what the proxy answered to CONNECT; null: nothing. */
  | { readonly kind: "proxy"; readonly status: number | null };
