'use strict';
const query = new URLSearchParams(location.search);
const state = query.get('state') || '';
const body = { state, code: query.get('code') || '', installation_id: Number(query.get('installation_id')) };
const path = '/v1/accounts/' + encodeURIComponent(state.split('.')[0]) + '/github/installations';
const say = (text) => { document.getElementById('text').textContent = text; };
const button = document.getElementById('connect');
history.replaceState(null, '', location.pathname);
if (!state || !body.code || !body.installation_id) {
  say('Start from the link that Slipway gives you for your account: this page was opened without it.');
} else {
  say('Slipway is to build from the repositories of this installation for the account ' + state.split('.')[0] + '.');
  button.hidden = false;
}
button.addEventListener('click', async () => {
  button.disabled = true;
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(path, { method: 'POST', headers, body: JSON.stringify(body) });
  if (answer.status === 401) {
    say('You are not signed in here. Post this with your token, within ten minutes, to ' + path + ':');
    document.getElementById('body').textContent = JSON.stringify(body);
    return;
  }
  const said = await answer.json();
  say(answer.ok ? 'Connected: ' + said.installation.owner + '. You can close this page.' : said.message);
});
