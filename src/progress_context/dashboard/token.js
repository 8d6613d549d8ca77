// The access token of this tab, where the service asks for one. It is never put into an address or a cookie.

const NAME = "token";

export const keepToken = (token) => sessionStorage.setItem(NAME, token);

/** The headers that a request needs besides its own. */
export function authorization() {
  const token = sessionStorage.getItem(NAME);
  return token ? { authorization: `Bearer ${token}` } : {};
}
