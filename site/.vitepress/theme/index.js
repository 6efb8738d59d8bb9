import Theme from 'vitepress/theme';
import './octavo.css';

export default Theme;
