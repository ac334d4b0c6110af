"use strict";
const [form, said, code] = [document.forms[0], document.querySelector("p"), location.hash.slice(1)];
// A code has no place in the history.
history.replaceState(null, "", location.pathname);

const end = (text) => {
  said.textContent = text;
  form.remove();
};

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const answer = await fetch("/auth/verification/confirm", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ code }),
    });
    const told = await answer.json();
    if (answer.ok) end(`${told.entity_id} is confirmed.`);
    else if (answer.status < 500) end(`${told.message}.`);
    else said.textContent = told.message;
  } catch {
    said.textContent = "That did not work. Try again.";
  }
});

if (code) said.textContent = "One click shows that the address is yours.";
else end("This link is not whole. Open the one in the letter again.");
