'use strict';
// imlib-next: every call resolves to {code, data}.
module.exports = ({ load, navi, appKey, report }) => {
  const sdk = load('@rongcloud/imlib-next');
  const seen = m => ({ uid: m.messageUId, time: m.sentTime, type: m.conversationType, target: m.targetId, from: m.senderUserId, mine: m.messageDirection === 1, text: m.content?.content });
  const data = answer => { if (answer.code) throw Object.assign(new Error(`code ${answer.code}`), { code: answer.code }); return answer.data; };
  const conversation = ({ type, target }) => ({ conversationType: type, targetId: target });

  sdk.init({ appkey: appKey, navigators: [navi], logOutputLevel: 5, logLevel: 5 });
  sdk.addEventListener(sdk.Events.MESSAGES, event => event.messages.forEach(message => report.shown(seen(message))));
  sdk.addEventListener(sdk.Events.CONNECTED, () => report.state('connected'));
  sdk.addEventListener(sdk.Events.SUSPEND, () => report.state('suspended'));
  sdk.addEventListener(sdk.Events.DISCONNECT, code => report.state(code === 31010 ? 'kicked' : 'disconnected', code));

  return {
    connect: async ({ token }) => data(await sdk.connect(token)).userId,
    disconnect: async () => { await sdk.disconnect(); },
    send: async ({ text, ...where }) => { const sent = data(await sdk.sendMessage(conversation(where), new sdk.TextMessage({ content: text }))); return { uid: sent.messageUId, time: sent.sentTime }; },
    history: async ({ count, ...where }) => data(await sdk.getHistoryMessages(conversation(where), { timestamp: 0, count, order: 0 })).list.map(seen).sort((a, b) => b.time - a.time),
  };
};
