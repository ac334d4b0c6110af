"use strict";
const [form, said, token] = [document.forms[0], document.querySelector("p"), location.hash.slice(1)];
// A token has no place in the history.
history.replaceState(null, "", location.pathname);

// What the token says decides where the password goes: to the route for it, and nowhere else.
const route = (claims) => {
  const parts = [claims.actor_type, claims.auth_provider];
  if (!parts.every((part) => /^[a-z]+$/.test(part))) throw new Error("no reset token");
  return `/auth/${parts[0]}/${parts[1]}/update`;
};

const read = () => {
  const claims = atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/"));
  return route(JSON.parse(claims));
};

const end = (text) => {
  said.textContent = text;
  form.remove();
};

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { password, again } = form.elements;
  if (password.value !== again.value) {
    said.textContent = "The two are not the same.";
    return;
  }
  try {
    const answer = await fetch(read(), {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
      body: JSON.stringify({ password: password.value }),
    });
    if (answer.ok) end("Your password is set. Sign in with it.");
    else if (answer.status === 401) end("This link has ended or was used. Ask for another one.");
    else said.textContent = (await answer.json()).message;
  } catch {
    said.textContent = "That did not work. Try again.";
  }
});

try {
  read();
  said.textContent = "All that you were signed in by ends.";
} catch {
  end("This link is not whole. Open the one in the letter again.");
}
